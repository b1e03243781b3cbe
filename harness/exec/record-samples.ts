import type {Caveat} from '../contract/caveats.ts';
import {BenchError} from '../contract/errors.ts';
import type {CellPhase, Recording, SampleContext, Sampler, Series} from '../contract/sampler.ts';
import type {PhaseEdge} from '../derive/phase-stats.ts';

/** All samplers of one round. */
export class SampleRecorder {
  readonly #recordings: Recording[] = [];
  readonly #caveats: Caveat[] = [];
  readonly #edges: PhaseEdge[] = [];
  readonly #nowMs: () => number;

  private constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Starts every sampler; one that does not start costs its columns and a caveat, not the round. */
  static async start(samplers: readonly Sampler[], context: SampleContext): Promise<SampleRecorder> {
    const recorder = new SampleRecorder(context.nowMs);
    const started = await Promise.allSettled(samplers.map((sampler) => sampler.start(context)));
    for (const [index, one] of started.entries()) {
      if (one.status === 'fulfilled') recorder.#recordings.push(one.value);
      // What this machine lacks is no loss; what it has and does not give is.
      else if (!(one.reason instanceof BenchError && one.reason.code === 'SAMPLER_UNAVAILABLE')) {
        recorder.#caveats.push({code: 'sampler-lost', value: samplers[index]?.id ?? ''});
      }
    }
    recorder.edge('baseline');
    return recorder;
  }

  get edges(): readonly PhaseEdge[] {
    return this.#edges;
  }

  edge(phase: CellPhase): void {
    this.#edges.push({phase, tMs: this.#nowMs()});
    for (const recording of this.#recordings) recording.edge(phase);
  }

  async stop(): Promise<{readonly series: readonly Series[]; readonly caveats: readonly Caveat[]}> {
    const results = await Promise.all(this.#recordings.map((recording) => recording.stop()));
    return {
      series: results.flatMap(({series}) => series),
      caveats: [...this.#caveats, ...results.flatMap(({caveats}) => caveats)],
    };
  }
}
