import {BenchError} from '../../harness/contract/errors.ts';
import {FORMATS} from '../../harness/contract/format.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import type {Engine, EngineProgram, EngineRequest, EngineResult} from '../worker-kit/engine.ts';
import {type Simulation, SimulationSchema} from './simulation.ts';

/** Bits at which `decode_us_per_token` holds when `scale_by_bits` is on. */
const REFERENCE_BITS = 16;

/** How a simulated worker leaves the world; passed in, so that a test survives it. */
export interface Ending {
  exit(code: number): never;
  kill(signal: number): void;
}

/** A clock that moves only when told to. */
class MadeClock {
  #ms = 0;
  now = (): number => this.#ms;
  advance(ms: number): void {
    this.#ms += ms;
  }
}

export function simulatedProgram(order: WorkOrder, ending: Ending, sleep: (ms: number) => void): EngineProgram {
  const parsed = SimulationSchema.safeParse(order.cell.settings.simulate ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new BenchError('UNSUPPORTED', `simulate.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
  }
  const simulation = parsed.data;
  const clock = new MadeClock();
  const realtime = simulation.realtime === 1;
  const now = realtime ? () => performance.now() : clock.now;
  const spend = realtime ? sleep : (ms: number) => clock.advance(ms);
  return {
    runnerVersion: 'simulated',
    now,
    load() {
      spend(simulation.load_ms);
      if (simulation.does_not_fit === 1) {
        throw new BenchError('DOES_NOT_FIT', `simulated: ${simulation.weights_bytes} bytes do not fit`);
      }
      return new SimulatedEngine({order, simulation, now, spend, ending});
    },
  };
}

interface Parts {
  readonly order: WorkOrder;
  readonly simulation: Simulation;
  readonly now: () => number;
  readonly spend: (ms: number) => void;
  readonly ending: Ending;
}

class SimulatedEngine implements Engine {
  readonly facts: Engine['facts'];
  readonly vocabulary: Engine['vocabulary'];
  readonly contextTokens: number;
  readonly now: () => number;
  readonly #parts: Parts;
  readonly #random: () => number;
  /** Held for as long as the engine lives. */
  readonly #ballast: Buffer;
  #requests = 0;

  constructor(parts: Parts) {
    const {order, simulation} = parts;
    const {simulate: _, ...settings} = order.cell.settings;
    this.#parts = parts;
    this.#random = mulberry32(order.cell.promptSeed * 1009 + order.round);
    this.#ballast = Buffer.alloc(simulation.allocate_bytes, 1);
    this.now = parts.now;
    this.contextTokens = settings.contextTokens;
    this.vocabulary = {size: simulation.vocab_size, isSpecial: () => false};
    this.facts = {
      kernel: 'simulated',
      engineBuild: 'simulated',
      dtype: 'simulated',
      isa: 'simulated',
      weightsBytes: simulation.weights_bytes,
      parameters: simulation.parameters,
      effective: {...settings, ...given(simulation), ballastBytes: this.#ballast.length},
      caveats: ['simulated'],
    };
  }

  prime(prefix: Int32Array): void {
    this.#spend(prefix.length * this.#parts.simulation.prefill_us_per_token);
  }

  generate(request: EngineRequest): EngineResult | Promise<EngineResult> {
    const {order, simulation, now, ending} = this.#parts;
    const measured = request.phase === 'measure' ? request.index : -1;
    const startMs = now();
    const promptTokens = request.prompts[0]?.length ?? 0;
    const evaluated = promptTokens - request.sharedTokens;
    const drift = (1 + simulation.drift_ratio) ** this.#requests;
    this.#requests++;
    if (measured === simulation.hang_at) return new Promise(() => setInterval(() => undefined, 1 << 30));
    if (measured === simulation.fail_at) fail(simulation, ending);

    const bits = FORMATS[order.cell.format].nominalBits / REFERENCE_BITS;
    const perToken = simulation.decode_us_per_token * (simulation.scale_by_bits === 1 ? bits : 1) * drift;
    this.#spend(evaluated * request.prompts.length * simulation.prefill_us_per_token * drift);
    for (let step = 0; step < request.generatedTokens; step++) {
      this.#spend(perToken);
      request.tokenMs[step] = now();
    }
    const cached = measured === simulation.cache_at ? 1 : 0;
    return {startMs, evaluatedTokens: evaluated - cached, cachedTokens: request.sharedTokens};
  }

  /** One id per UTF-8 byte. */
  tokenize(text: string): Int32Array {
    return Int32Array.from(Buffer.from(text));
  }

  detokenize(): string {
    return '';
  }

  #spend(microseconds: number): void {
    const {simulation, spend} = this.#parts;
    spend((microseconds * (1 + simulation.jitter_ratio * (2 * this.#random() - 1))) / 1000);
  }
}

/** The simulation's settings without those that were not given. */
function given(simulation: Simulation): Record<string, number> {
  return Object.fromEntries(
    Object.entries(simulation).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}

function fail({signal, exit_code: exitCode}: Simulation, ending: Ending): void {
  if (signal !== undefined) ending.kill(signal);
  if (exitCode !== undefined) ending.exit(exitCode);
  throw new BenchError('WORKER_CRASHED', 'simulated: this request fails because `fail_at` says so');
}

/** Seeded uniform numbers from 0 to 1 (Tommy Ettinger's mulberry32, public domain). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
