import type {Cell} from '../contract/cell.ts';
import type {SweepEvent} from '../contract/sweep-event.ts';
import {formatBytes, formatSeconds, formatSignificant} from '../contract/units.ts';
import {plain, type Style} from './terminal.ts';

export interface Output {
  write(text: string): unknown;
  readonly columns?: number | undefined;
}

export interface ProgressOptions {
  readonly output: Output;
  readonly style: Style;
  /** Redraw one status line in place; otherwise one plain line an event. */
  readonly live: boolean;
}

const CLEAR_LINE = '\r\u001B[2K';

/** Shows a sweep on stderr: one status line that is redrawn on a terminal, one line per finished thing elsewhere. */
export class Progress {
  readonly #options: ProgressOptions;
  #roundsDone = 0;
  #roundsTotal = 0;
  #cellRounds = 1;
  #status = '';
  #lastStep = '';

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  show(event: SweepEvent): void {
    switch (event.type) {
      case 'sweep_started':
        this.#roundsDone = event.roundsDone;
        this.#roundsTotal = event.roundsTotal;
        this.#cellRounds = event.rounds;
        this.#line(
          `${event.cells} cells × ${event.rounds} rounds${event.roundsDone > 0 ? `, ${event.roundsDone} of ${event.roundsTotal} already done` : ''} → ${event.folder}`,
        );
        break;
      case 'step':
        this.#step(event);
        break;
      case 'cell_started':
        this.#draw(`${this.#place()} ${cellName(event.cell)}: starting`);
        break;
      case 'cell_phase':
        this.#draw(`${this.#place()} ${cellName(event.cell)}: ${event.phase}`);
        break;
      case 'cell_progress': {
        const facts = [
          `${event.requests} requests`,
          event.decodeTokensPerS === null ? '' : `${formatSignificant(event.decodeTokensPerS)} tokens/s`,
          event.ramBytes === null ? '' : formatBytes(event.ramBytes),
          event.secondsLeft === null ? '' : `≤ ${formatSeconds(event.secondsLeft)} left`,
        ];
        this.#draw(`${this.#place()} ${cellName(event.cell)}: ${facts.filter((fact) => fact !== '').join(', ')}`);
        break;
      }
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

  #finished(event: Extract<SweepEvent, {type: 'cell_finished'}>): void {
    this.#roundsDone++;
    const {style} = this.#options;
    const mark = event.status === 'ok' ? style.green('ok') : style.red(event.status);
    const facts =
      event.status === 'ok'
        ? `${event.requests} requests${event.decodeTokensPerS === null ? '' : `, ${formatSignificant(event.decodeTokensPerS)} tokens/s`}`
        : plain(event.reason);
    const left = event.secondsLeft === null ? '' : style.dim(`, ≤ ${formatSeconds(event.secondsLeft)} left`);
    this.#line(
      `${this.#place()} ${cellName(event.cell)} round ${event.round + 1}/${this.#cellRounds}: ${mark} ${facts}${left}`,
    );
  }

  #step(event: Extract<SweepEvent, {type: 'step'}>): void {
    const total = event.totalBytes ?? null;
    const bytes =
      event.doneBytes === undefined
        ? ''
        : ` ${formatBytes(event.doneBytes)}${total === null ? '' : ` of ${formatBytes(total)}`}`;
    if (this.#options.live) this.#draw(`${plain(event.text)}${bytes}`);
    else if (event.text !== this.#lastStep) this.#line(plain(event.text));
    this.#lastStep = event.text;
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
    const width = this.#options.output.columns ?? 80;
    // Escape codes have no width; a status line is cut generously rather than wrapped.
    const cut = text.length > width + 8 ? `${text.slice(0, width + 7)}…` : text;
    this.#options.output.write(`${this.#status === '' && cut === '' ? '' : CLEAR_LINE}${cut}`);
    this.#status = cut;
  }
}

/** A cell in words: only what tells it apart for a person. */
export function cellName(cell: Cell): string {
  const parts = [cell.model, cell.format, cell.runner.id];
  if (cell.kernel !== 'auto') parts.push(cell.kernel);
  if (cell.isa !== 'native') parts.push(cell.isa);
  parts.push(cell.device, cell.workload.name);
  return plain(parts.join(' '));
}
