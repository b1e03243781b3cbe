import {readHost} from '../../harness/cli/host.ts';
import {RUNNERS} from '../../harness/cli/registry.ts';
import type {Sampler} from '../../harness/contract/sampler.ts';
import {allSamplers} from '../../harness/samplers/catalog.ts';
import {Ticker} from '../../harness/samplers/ticker.ts';
import {decodeRates, runCell, selfCell, selfWeights} from './cell.ts';
import {median, medianBounds, type Section} from './section.ts';

/** About 0.4 s of decoding at the 1B shape on two cores: short against the drift of a host, long against one reading. */
const GENERATED_TOKENS = 17;

/** A ticker that can be silenced: then no timer runs at all, as if there were no sampler. */
class SwitchedTicker extends Ticker {
  readonly #readings = new Set<{begin: () => () => void; end: (() => void) | null}>();
  #on = true;

  override every(...subscription: Parameters<Ticker['every']>): () => void {
    const begin = () => super.every(...subscription);
    const reading: {begin: () => () => void; end: (() => void) | null} = {begin, end: this.#on ? begin() : null};
    this.#readings.add(reading);
    return () => {
      reading.end?.();
      this.#readings.delete(reading);
    };
  }

  switch(on: boolean): void {
    if (on === this.#on) return;
    this.#on = on;
    for (const reading of this.#readings) {
      reading.end?.();
      reading.end = on ? reading.begin() : null;
    }
  }
}

/**
 * Samplers on against samplers off. Separate workers differ from each other by more than samplers can cost (±5 % on a
 * shared host), so it is ONE worker, whose samplers are switched between requests: on off, off on, on off, …
 */
export const samplerCost: Section = {
  name: 'sampler-cost',
  doc: 'decode with every readable sampler at 50 ms against without, 1B, request by request in one worker',
  async run(context) {
    const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
    const ticker = new SwitchedTicker();
    const samplers: Sampler[] = [];
    for (const sampler of allSamplers({host, ticker})) if ((await sampler.available()).ok) samplers.push(sampler);
    const {path} = await selfWeights(context.cacheDir, 'llama-3.2-1b', 'gguf-q4_k_m');
    const runner = RUNNERS.get('llama-cpp');
    if (runner === undefined) throw new Error('no runner llama-cpp');
    const pairs = context.quick ? 40 : 300;
    const cell = selfCell({
      model: 'llama-3.2-1b',
      format: 'gguf-q4_k_m',
      runner: 'llama-cpp',
      threads: host.cpu.usableCores,
      promptTokens: 1,
      generatedTokens: GENERATED_TOKENS,
      requests: 2 * pairs,
    });
    /** Whether the samplers run during the request of this index: on off, off on, … */
    const sampled = (index: number) => index % 4 === 0 || index % 4 === 3;
    const requests = await runCell(cell, {
      runner,
      host,
      weightsPath: path,
      samplers,
      onRequest: (count) => {
        ticker.switch(sampled(count));
        if (count % 100 === 0) context.log(`${count} of ${2 * pairs} requests`);
      },
    });
    const rates = decodeRates(requests);
    const slowdowns: number[] = [];
    for (let index = 0; index + 1 < rates.length; index += 2) {
      const [a = Number.NaN, b = Number.NaN] = [rates[index], rates[index + 1]];
      slowdowns.push(100 * (sampled(index) ? b / a - 1 : a / b - 1));
    }
    const [low, high] = medianBounds(slowdowns);
    return [
      {
        what: `slowdown of decode by ${samplers.map(({id}) => id).join(', ')} (%)`,
        value: `${median(slowdowns).toFixed(2)} (95 % interval ${low.toFixed(2)} to ${high.toFixed(2)}, ${slowdowns.length} pairs)`,
        goal: 'median ≤ 0.5',
        met: median(slowdowns) <= 0.5,
      },
    ];
  },
};
