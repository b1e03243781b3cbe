import type {Caveat} from '../contract/caveats.ts';
import {BenchError} from '../contract/errors.ts';
import type {CellPhase, Recording, SampleContext, Sampler, Series} from '../contract/sampler.ts';
import type {PhaseEdge} from '../derive/phase-stats.ts';

interface Running {
  readonly id: string;
  readonly recording: Recording;
}

/** All samplers of one round. One that fails costs its columns and a caveat, never the round. */
export class SampleRecorder {
  readonly #running: Running[] = [];
  readonly #lost = new Set<string>();
  readonly #edges: PhaseEdge[] = [];
  readonly #nowMs: () => number;

  private constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  static async start(samplers: readonly Sampler[], context: SampleContext): Promise<SampleRecorder> {
    const recorder = new SampleRecorder(context.nowMs);
    const started = await Promise.allSettled(samplers.map(async (sampler) => await sampler.start(context)));
    for (const [index, one] of started.entries()) {
      const id = samplers[index]?.id ?? '';
      if (one.status === 'fulfilled') recorder.#running.push({id, recording: one.value});
      // What this machine lacks is no loss; what it has and does not give is.
      else if (!(one.reason instanceof BenchError && one.reason.code === 'SAMPLER_UNAVAILABLE')) {
        recorder.#lost.add(id);
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
    for (const {id, recording} of this.#running) {
      try {
        recording.edge(phase);
      } catch {
        this.#lost.add(id);
      }
    }
  }

  async stop(): Promise<{readonly series: readonly Series[]; readonly caveats: readonly Caveat[]}> {
    const stopped = await Promise.allSettled(this.#running.map(async ({recording}) => await recording.stop()));
    const results = stopped.flatMap((one, index) => {
      if (one.status === 'fulfilled') return [one.value];
      this.#lost.add(this.#running[index]?.id ?? '');
      return [];
    });
    return {
      series: results.flatMap(({series}) => series),
      caveats: [
        ...[...this.#lost].map((value): Caveat => ({code: 'sampler-lost', value})),
        ...results.flatMap(({caveats}) => caveats),
      ],
    };
  }
}
