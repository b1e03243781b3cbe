import type {Cell} from '../contract/cell.ts';
import type {SweepEvent} from '../contract/sweep-event.ts';
import {formatBytes, formatSeconds, formatSignificant} from '../contract/units.ts';
import {cutTo, plain, type Style} from './terminal.ts';

export interface Output {
  write(text: string): unknown;
  readonly columns?: number | undefined;
}

export interface ProgressOptions {
  readonly output: Output;
  readonly style: Style;
  /** Redraw one status line in place; otherwise one plain line an event. */
  readonly live: boolean;
  /** Default: the clock of this process. */
  readonly nowMs?: () => number;
}

const CLEAR_LINE = '\r\u001B[2K';
/** In a log, a long download says that often how far it is. */
const TELL_STEP_EVERY_MS = 15_000;

/** Shows a sweep on stderr: one status line that is redrawn on a terminal, one line per finished thing elsewhere. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #nowMs: () => number;
  #roundsDone = 0;
  #roundsTotal = 0;
  #cellRounds = 1;
  #status = '';
  #lastStep = '';
  #stepToldMs = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  show(event: SweepEvent): void {
    switch (event.type) {
      case 'sweep_started':
        this.#roundsDone = event.roundsDone;
        this.#roundsTotal = event.roundsTotal;
        this.#cellRounds = event.rounds;
        this.#line(
          `${event.cells} ${event.cells === 1 ? 'cell' : 'cells'} × ${event.rounds} ${event.rounds === 1 ? 'round' : 'rounds'}${event.roundsDone > 0 ? `, ${event.roundsDone} of ${event.roundsTotal} already done` : ''} → ${event.folder}`,
        );
        break;
      case 'step':
        this.#step(event);
        break;
      case 'cell_started':
        this.#cell(event.cell, ['starting']);
        break;
      case 'cell_phase':
        this.#cell(event.cell, [event.phase]);
        break;
      case 'cell_progress':
        this.#cell(event.cell, [
          requestsOf(event.requests),
          ...rates(event),
          event.ramBytes === null ? '' : formatBytes(event.ramBytes),
          left(event.secondsLeft),
        ]);
        break;
      case 'cell_finished':
        this.#finished(event);
        break;
      case 'warning':
        this.#line(this.#options.style.yellow(`warning: ${plain(event.text)}`));
        break;
      case 'sweep_finished':
        this.#draw('');
        break;
    }
  }

  /** Leaves the terminal clean: call before anything else is printed. */
  end(): void {
    this.#draw('');
  }

  /** What changes stands first: the end of the line is cut where a terminal is narrow. */
  #cell(cell: Cell, facts: readonly string[]): void {
    const {short, rest} = cellWords(cell);
    const told = facts.filter((fact) => fact !== '').join(', ');
    this.#draw(`${this.#place()} ${short}: ${told} ${this.#options.style.dim(`(${rest})`)}`);
  }

  #finished(event: Extract<SweepEvent, {type: 'cell_finished'}>): void {
    this.#roundsDone++;
    const {style} = this.#options;
    const mark = event.status === 'ok' ? style.green('ok') : style.red(event.status);
    const facts =
      event.status === 'ok' ? [requestsOf(event.requests), ...rates(event)].join(', ') : plain(event.reason);
    const rest = left(event.secondsLeft) === '' ? '' : style.dim(`, ${left(event.secondsLeft)}`);
    this.#line(
      `${this.#place()} ${cellName(event.cell)} round ${event.round + 1}/${this.#cellRounds}: ${mark} ${facts}${rest}`,
    );
  }

  #step(event: Extract<SweepEvent, {type: 'step'}>): void {
    const total = event.totalBytes ?? null;
    const bytes =
      event.doneBytes === undefined
        ? ''
        : ` ${formatBytes(event.doneBytes)}${total === null ? '' : ` of ${formatBytes(total)}`}`;
    if (this.#options.live) {
      this.#draw(`${plain(event.text)}${bytes}`);
      return;
    }
    // `weights NAME: make`, then `weights NAME: hashing`: in a log the thing is named once, and again when it takes long.
    const [thing = ''] = event.text.split(': ');
    const now = this.#nowMs();
    const isNew = thing !== this.#lastStep;
    if (!isNew && now - this.#stepToldMs < TELL_STEP_EVERY_MS) return;
    this.#line(`${plain(event.text)}${isNew ? '' : bytes}`);
    this.#lastStep = thing;
    this.#stepToldMs = now;
  }

  #place(): string {
    const width = String(this.#roundsTotal).length;
    return this.#options.style.dim(
      `[${String(Math.min(this.#roundsDone, this.#roundsTotal)).padStart(width)}/${this.#roundsTotal}]`,
    );
  }

  #line(text: string): void {
    this.#options.output.write(`${this.#status === '' ? '' : CLEAR_LINE}${text}\n`);
    this.#status = '';
  }

  #draw(text: string): void {
    if (!this.#options.live) return;
    // The last column stays free: some terminals wrap once it is written.
    const cut = cutTo(text, (this.#options.output.columns ?? 80) - 1);
    if (cut === this.#status) return;
    this.#options.output.write(`${this.#status === '' && cut === '' ? '' : CLEAR_LINE}${cut}`);
    this.#status = cut;
  }
}

function rates({
  decodeTokensPerS,
  prefillTokensPerS,
}: {
  readonly decodeTokensPerS: number | null;
  readonly prefillTokensPerS: number | null;
}): string[] {
  if (decodeTokensPerS !== null) return [`${formatSignificant(decodeTokensPerS)} tokens/s`];
  // A request of one token has no decode.
  return prefillTokensPerS === null ? [] : [`prefill ${formatSignificant(prefillTokensPerS)} tokens/s`];
}

const requestsOf = (count: number) => (count === 1 ? '1 request' : `${count} requests`);

function left(seconds: number | null): string {
  return seconds === null || seconds <= 0 ? '' : `≤ ${formatSeconds(seconds)} left`;
}

/** A cell in words: what mostly tells it apart in its sweep, and the rest. */
function cellWords(cell: Cell): {readonly short: string; readonly rest: string} {
  const short: string[] = [cell.format];
  if (cell.kernel !== 'auto') short.push(cell.kernel);
  if (cell.isa !== 'native') short.push(cell.isa);
  short.push(cell.workload.name);
  return {short: plain(short.join(' ')), rest: plain([cell.model, cell.runner.id, cell.device].join(' '))};
}

/** A cell in words: only what tells it apart for a person. */
function cellName(cell: Cell): string {
  const parts = [cell.model, cell.format, cell.runner.id];
  if (cell.kernel !== 'auto') parts.push(cell.kernel);
  if (cell.isa !== 'native') parts.push(cell.isa);
  parts.push(cell.device, cell.workload.name);
  return plain(parts.join(' '));
}
