import type {Cell} from '../contract/cell.ts';
import {BenchError} from '../contract/errors.ts';
import type {RequestEvent, WorkerEvent} from '../contract/protocol.ts';
import {sharedPrefixTokens} from '../contract/workload.ts';

/**
 * Holds the events of one worker against the protocol and the cell: order of events, and for each request that the
 * engine did the work that the workload asks for. Two peers time cached prompts without noticing; this is where we do.
 */
export class ProtocolCheck {
  readonly #cell: Cell;
  readonly #seen = {warmup: new Set<number>(), measure: new Set<number>()};
  #phase: 'start' | 'ready' | 'loaded' | 'warmup' | 'measure' | 'done' = 'start';
  #fewestTimes: number;
  /** The server decides how long prompts and answers are, and says so. */
  #lengthsVary: boolean = false;

  constructor(cell: Cell) {
    this.#cell = cell;
    this.#fewestTimes = cell.workload.generatedTokens;
  }

  /** @throws {BenchError} `PROTOCOL_VIOLATION`, `WRONG_TOKEN_COUNT`. */
  take(event: WorkerEvent): void {
    if (this.#phase === 'done') throw this.#violation(`wrote "${event.type}" after "done"`);
    switch (event.type) {
      case 'ready':
        this.#step('start', 'ready', event.type);
        break;
      case 'loaded':
        this.#step('ready', 'loaded', event.type);
        // An engine that does not stream gives the time of the last token alone, and says so.
        if (event.caveats.includes('tokens-not-streamed')) this.#fewestTimes = 1;
        this.#lengthsVary = event.caveats.includes('lengths-vary');
        break;
      case 'phase':
        if (event.name === 'measure' && this.#phase === 'warmup') this.#phase = 'measure';
        else this.#step('loaded', event.name, `phase ${event.name}`);
        break;
      case 'request':
        this.#request(event);
        break;
      case 'memory':
        if (this.#phase === 'start') throw this.#violation('wrote "memory" before "ready"');
        break;
      case 'failed':
        break;
      case 'done':
        this.#done();
        break;
    }
  }

  #step(from: 'start' | 'ready' | 'loaded', to: 'ready' | 'loaded' | 'warmup' | 'measure', what: string): void {
    if (this.#phase !== from) throw this.#violation(`wrote "${what}" in the phase "${this.#phase}"`);
    this.#phase = to;
  }

  #done(): void {
    if (this.#phase !== 'measure') throw this.#violation('wrote "done" before the phase "measure"');
    if (this.#seen.measure.size === 0) throw this.#violation('wrote "done" without a measured request');
    for (const [phase, indices] of Object.entries(this.#seen)) {
      // Indices are distinct, so the highest one tells whether one is missing.
      let highest = -1;
      for (const index of indices) highest = Math.max(highest, index);
      if (highest + 1 !== indices.size) throw this.#violation(`left out an index of the phase "${phase}"`);
    }
    this.#phase = 'done';
  }

  #request(event: RequestEvent): void {
    if (event.phase !== this.#phase) {
      throw this.#violation(`wrote a request of the phase "${event.phase}" in the phase "${this.#phase}"`);
    }
    const seen = this.#seen[event.phase];
    if (seen.has(event.index)) throw this.#violation(`wrote request ${event.index} twice`);
    if (this.#cell.workload.concurrency === 1 && event.index !== seen.size) {
      throw this.#violation(`wrote request ${event.index} where ${seen.size} was due`);
    }
    seen.add(event.index);
    if (event.lane >= this.#cell.workload.concurrency) throw this.#violation(`wrote a request of lane ${event.lane}`);
    this.#prompt(event);
    this.#tokens(event);
  }

  #prompt(event: RequestEvent): void {
    const {workload} = this.#cell;
    const shared = sharedPrefixTokens(workload);
    if (workload.promptTokens > 0 && event.promptTokens !== workload.promptTokens && !this.#lengthsVary) {
      throw this.#wrong(event, `${event.promptTokens} prompt tokens`, `${workload.promptTokens}`);
    }
    if (event.evaluatedTokens + event.cachedTokens !== event.promptTokens) {
      const got = `${event.evaluatedTokens} evaluated and ${event.cachedTokens} cached prompt tokens`;
      throw this.#wrong(event, got, `${event.promptTokens} together`);
    }
    if (event.cachedTokens > shared) {
      throw this.#wrong(event, `${event.cachedTokens} prompt tokens from a cache`, `at most ${shared}`);
    }
    if (event.batch !== workload.batch) throw this.#wrong(event, `a batch of ${event.batch}`, `${workload.batch}`);
  }

  #tokens({index, phase, startNs, tokenNs}: RequestEvent): void {
    const expected = this.#cell.workload.generatedTokens;
    const shorter = this.#lengthsVary && tokenNs.length < expected;
    if (tokenNs.length !== expected && tokenNs.length !== this.#fewestTimes && !shorter)
      throw this.#wrong({index, phase}, `${tokenNs.length} generated tokens`, `${expected}`);
    let before = startNs;
    for (const [at, time] of tokenNs.entries()) {
      // Two tokens may come in one piece; none comes before its request or its predecessor.
      if (time < before || (at === 0 && time === startNs)) {
        throw this.#violation(`wrote request ${index} with times that do not increase (token ${at})`);
      }
      before = time;
    }
  }

  #violation(did: string): BenchError {
    return new BenchError('PROTOCOL_VIOLATION', `The worker of cell ${this.#cell.id} ${did}`);
  }

  #wrong({index, phase}: {index: number; phase: string}, got: string, expected: string): BenchError {
    return new BenchError(
      'WRONG_TOKEN_COUNT',
      `Request ${index} (${phase}) of cell ${this.#cell.id}: ${got}, expected ${expected}`,
      {details: {index, phase}},
    );
  }
}
