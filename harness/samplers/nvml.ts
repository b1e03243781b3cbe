import type {Caveat} from '../contract/caveats.ts';
import {BenchError} from '../contract/errors.ts';
import type {Availability, CellPhase, Recording, SampleContext, Sampler, SamplerResult} from '../contract/sampler.ts';
import {seesHostPids} from '../linux/pid-namespace.ts';
import type {SystemFiles} from '../linux/system-files.ts';
import {findNvidiaSmi, hasNvml} from '../nvml/find-nvml.ts';
import {type NvmlMessage, READING_KEYS, type ReadingKey, SLOW_KEYS, SLOW_PERIOD_MS} from '../nvml/messages.ts';
import {askNvml, NvmlSampling} from '../nvml/nvml-process.ts';
import type {ReadingFrame} from '../nvml/reading-frames.ts';
import {GpuLog} from './gpu-log.ts';
import {GpuProcesses} from './gpu-processes.ts';
import {type GpuHost, type GpuTarget, gpuTarget} from './gpu-target.ts';
import {ProcessTree} from './process-tree.ts';

/** Cells whose sampling was lost after which no more are tried: each try waits for a driver that may hang. */
const MOST_LOSSES = 2;
/** How long the answer about the processes before the worker has its order, and the last one, are waited for. */
const FIRST_ANSWER_MS = 5000;
const LAST_ANSWER_MS = 300;

export interface NvmlOptions {
  readonly files: SystemFiles;
  readonly host: GpuHost;
  readonly env?: NodeJS.ProcessEnv;
  readonly hostPids?: boolean;
  /** How long the driver may take to start up. */
  readonly startMs?: number;
}

/**
 * The card of the cell, read through NVML in a process of its own: memory in use, energy counter, power, clocks,
 * temperature, utilization and throttle reasons every period; the processes on the card when a phase begins. A driver
 * that hangs, or a card that falls off the bus, ends the readings of this cell with a caveat, and nothing else.
 */
export class NvmlSampler implements Sampler {
  readonly id = 'nvml';
  readonly #options: NvmlOptions;
  #available: Promise<Availability> | undefined;
  #losses = 0;

  constructor(options: NvmlOptions) {
    this.#options = options;
  }

  /** Asks the driver once; the answer holds for the run. */
  async available(): Promise<Availability> {
    this.#available ??= this.#look();
    return await this.#available;
  }

  async start(context: SampleContext): Promise<Recording> {
    const {gpuIndex} = context;
    if (gpuIndex === null) throw new BenchError('SAMPLER_UNAVAILABLE', 'nvml: this cell uses no GPU');
    const target = gpuTarget(this.#options.host, gpuIndex);
    const recording = new NvmlRecording(target, context, this.#options, () => this.#losses++);
    // A cell goes without its readings rather than wait for a hung driver each time.
    if (this.#losses >= MOST_LOSSES) recording.giveUp('given-up');
    else await recording.begin();
    return recording;
  }

  async #look(): Promise<Availability> {
    const {files, env = process.env, startMs, host} = this.#options;
    if (!hasNvml(files, env)) {
      const driver = findNvidiaSmi(files, env) !== null || host.gpus.length > 0;
      return {
        ok: false,
        reason: driver ? 'no libnvidia-ml.so.1: nvidia-smi is read instead' : 'no NVIDIA driver on this host',
        fix: driver ? 'in a container: start it with NVIDIA_DRIVER_CAPABILITIES=utility,compute' : null,
      };
    }
    const answer = await askNvml({do: 'inventory'}, {env, ...(startMs === undefined ? {} : {timeoutMs: startMs})});
    if (!answer.ok) return {ok: false, reason: answer.reason, fix: answer.fix};
    const count = answer.message.type === 'inventory' ? answer.message.gpus.length : 0;
    if (count === 0) return {ok: false, reason: 'NVML finds no GPU', fix: 'in a container: start it with --gpus all'};
    return {ok: true, detail: 'VRAM, energy counter, power, clocks, temperature, throttle reasons, processes'};
  }
}

class NvmlRecording implements Recording {
  readonly #target: GpuTarget;
  readonly #context: SampleContext;
  readonly #options: NvmlOptions;
  readonly #onLoss: () => void;
  readonly #log: GpuLog;
  readonly #processes: GpuProcesses;
  readonly #tree: ProcessTree;
  /** Clock of the cell minus the clock of the system, in milliseconds. */
  readonly #offsetMs: number;
  readonly #caveats: Caveat[] = [];
  readonly #questions = new Map<number, {readonly baseline: boolean; readonly tree: ReadonlySet<number>}>();
  #sampling: NvmlSampling | undefined;
  #lost: boolean = false;
  #ready: () => void = () => undefined;
  #answered: () => void = () => undefined;
  #result: Promise<SamplerResult> | undefined;

  constructor(target: GpuTarget, context: SampleContext, options: NvmlOptions, onLoss: () => void) {
    this.#target = target;
    this.#context = context;
    this.#options = options;
    this.#onLoss = onLoss;
    const {periodMs} = context;
    const slowPeriodMs = Math.max(periodMs, SLOW_PERIOD_MS);
    this.#log = new GpuLog({source: 'nvml', periodMs, slowPeriodMs, ...target});
    this.#processes = new GpuProcesses({source: 'nvml', hostPids: options.hostPids ?? seesHostPids()});
    this.#tree = new ProcessTree(options.files, context.pid);
    this.#offsetMs = context.nowMs() - systemMs();
  }

  /** Resolves when readings come and the processes on the card are known, or when there is no sign of life. */
  async begin(): Promise<void> {
    const {env, startMs} = this.#options;
    const {index, uuid} = this.#target;
    await new Promise<void>((resolve) => {
      this.#ready = resolve;
      this.#sampling = new NvmlSampling(
        {do: 'sample', index, uuid, periodMs: this.#context.periodMs},
        {
          onMessage: (message) => this.#take(message),
          onReadings: (frame) => this.#read(frame),
          onLost: (reason) => this.#lose(reason),
        },
        {...(env === undefined ? {} : {env}), ...(startMs === undefined ? {} : {startMs})},
      );
    });
    this.#ask(true);
    await this.#answers(FIRST_ANSWER_MS);
  }

  giveUp(reason: string): void {
    this.#caveats.push({code: 'sampler-lost', value: `nvml:${reason.replaceAll(/[\s;]+/g, '-')}`});
  }

  /** The first measured request is under way when `measure` begins: the list is too dear for that moment. */
  edge(phase: CellPhase): void {
    if ((phase === 'warmup' || phase === 'end') && this.#result === undefined) this.#ask(false);
  }

  #ask(baseline: boolean): void {
    if (this.#sampling === undefined || this.#lost) return;
    // The tree is looked at now: at the end its processes go before the answer comes.
    const tree = new Set(this.#tree.refresh());
    this.#questions.set(this.#sampling.askProcesses(), {baseline, tree});
  }

  async stop(): Promise<SamplerResult> {
    this.#result ??= this.#end();
    return await this.#result;
  }

  async #end(): Promise<SamplerResult> {
    await this.#answers(LAST_ANSWER_MS);
    await this.#sampling?.end();
    return {
      series: [...this.#log.series(), ...this.#processes.series()],
      caveats: [...this.#target.caveats, ...this.#caveats, ...this.#log.caveats(), ...this.#processes.caveats()],
    };
  }

  /** Until every question is answered, at most for a while. */
  async #answers(withinMs: number): Promise<void> {
    if (this.#questions.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#answered = () => {
        if (this.#questions.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(message: NvmlMessage): void {
    if (message.type === 'ready') this.#ready();
    if (message.type === 'processes') {
      const question = this.#questions.get(message.id);
      this.#questions.delete(message.id);
      if (question !== undefined && message.list !== null) {
        const tMs = message.tMs + this.#offsetMs;
        this.#processes.take(tMs, message.list, question.tree, question.baseline);
      }
      this.#answered();
    }
  }

  #read({kind, rows}: ReadingFrame): void {
    for (const row of rows) {
      if (kind === 'fast') this.#push(row);
      else this.#pushSlow(row);
    }
  }

  #push([systemTimeMs = null, ...values]: readonly (number | null)[]): void {
    if (systemTimeMs === null) return;
    const of = (key: ReadingKey): number | null => values[READING_KEYS.indexOf(key)] ?? null;
    const mask = of('throttleMask');
    this.#log.push(systemTimeMs + this.#offsetMs, {
      memoryUsedBytes: of('memoryUsedBytes'),
      powerW: of('powerW'),
      energyJ: of('energyJ'),
      smClockHz: of('smClockHz'),
      utilizationRatio: of('utilizationRatio'),
      throttleMask: mask === null ? null : BigInt(mask),
    });
  }

  #pushSlow([systemTimeMs = null, ...values]: readonly (number | null)[]): void {
    if (systemTimeMs === null) return;
    this.#log.pushSlow(systemTimeMs + this.#offsetMs, {
      memoryClockHz: values[SLOW_KEYS.indexOf('memoryClockHz')] ?? null,
      temperatureC: values[SLOW_KEYS.indexOf('temperatureC')] ?? null,
    });
  }

  #lose(reason: string): void {
    this.#onLoss();
    this.#lost = true;
    this.giveUp(reason);
    this.#questions.clear();
    this.#ready();
    this.#answered();
  }
}

/** The clock that all processes of this host share. */
function systemMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
