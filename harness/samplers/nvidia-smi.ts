import type {Caveat} from '../contract/caveats.ts';
import {BenchError} from '../contract/errors.ts';
import type {Availability, CellPhase, Recording, SampleContext, Sampler, SamplerResult} from '../contract/sampler.ts';
import {seesHostPids} from '../linux/pid-namespace.ts';
import type {SystemFiles} from '../linux/system-files.ts';
import {parseComputeApps} from '../nvidia-smi/compute-apps.ts';
import {parseHelp} from '../nvidia-smi/fields.ts';
import {type GpuSample, type SampleKey, sampleQuery, timestampDifferenceMs} from '../nvidia-smi/gpu-sample.ts';
import {SampleStream, type StreamItem} from '../nvidia-smi/sample-stream.ts';
import {findNvidiaSmi} from '../nvml/find-nvml.ts';
import {GuardedChild} from '../nvml/guarded-child.ts';
import {runNvidiaSmi} from '../nvml/run-nvidia-smi.ts';
import {GpuLog} from './gpu-log.ts';
import {GpuProcesses} from './gpu-processes.ts';
import {type GpuHost, type GpuTarget, gpuTarget} from './gpu-target.ts';
import {ProcessTree} from './process-tree.ts';

/** nvidia-smi takes 10 to 20 ms of CPU for a reading: more often would disturb the cell. */
const LEAST_PERIOD_MS = 100;
/** Time to the first line: seconds on hosts with many cards and without persistence mode. */
const START_MS = 15_000;
const SILENCE_MS = 3000;
const QUERY_MS = 10_000;
/** How long the end of a cell waits for the last look at the processes. */
const LAST_ANSWER_MS = 1500;
/** Cells whose stream was lost for good after which no more are tried. */
const MOST_LOSSES = 2;
/** Lines that came in one piece may be this old. */
const MOST_DELAY_MS = 10_000;

export interface NvidiaSmiOptions {
  readonly files: SystemFiles;
  readonly host: GpuHost;
  /** The sampler that is better; this one is for hosts where it does not work. */
  readonly insteadOf: Sampler;
  readonly env?: NodeJS.ProcessEnv;
  readonly hostPids?: boolean;
  readonly startMs?: number;
  readonly silenceMs?: number;
}

/**
 * The card of the cell, read from one nvidia-smi that prints a line every period until the cell ends; the processes on the
 * card when a phase begins. Only where NVML cannot be loaded: nvidia-smi has no energy counter and costs more CPU.
 */
export class NvidiaSmiSampler implements Sampler {
  readonly id = 'nvidia-smi';
  readonly #options: NvidiaSmiOptions;
  #look: Promise<Found> | undefined;
  #losses = 0;

  constructor(options: NvidiaSmiOptions) {
    this.#options = options;
  }

  /** Asks nvidia-smi once which fields it knows; the answer holds for the run. */
  async available(): Promise<Availability> {
    const {file, fields, problem} = await this.#found();
    if (problem !== null) return problem;
    return {ok: true, detail: `${fields.size} fields of ${file}`};
  }

  async start(context: SampleContext): Promise<Recording> {
    const {gpuIndex} = context;
    if (gpuIndex === null) throw new BenchError('SAMPLER_UNAVAILABLE', 'nvidia-smi: this cell uses no GPU');
    const {file, fields, problem} = await this.#found();
    if (problem !== null) throw new BenchError('SAMPLER_UNAVAILABLE', `nvidia-smi: ${problem.reason}`);
    const target = gpuTarget(this.#options.host, gpuIndex);
    const recording = new SmiRecording({file, fields, target, context, options: this.#options});
    if (this.#losses >= MOST_LOSSES) recording.giveUp('given-up');
    else await recording.begin(() => this.#losses++);
    return recording;
  }

  async #found(): Promise<Found> {
    this.#look ??= this.#find();
    return await this.#look;
  }

  async #find(): Promise<Found> {
    const {files, env = process.env, insteadOf} = this.#options;
    const none = {file: '', fields: new Map<SampleKey, string>()};
    const better = await insteadOf.available();
    if (better.ok) {
      return {...none, problem: {ok: false, reason: `not needed: ${insteadOf.id} reads the same and more`, fix: null}};
    }
    const file = findNvidiaSmi(files, env);
    if (file === null) return {...none, problem: {ok: false, reason: 'no nvidia-smi on this host', fix: null}};
    const help = await runNvidiaSmi(file, ['--help-query-gpu'], {env, timeoutMs: QUERY_MS});
    if (!help.ok) return {...none, problem: {ok: false, reason: help.reason, fix: help.fix}};
    const fields = sampleQuery(parseHelp(help.text));
    if (!fields.has('memoryUsedBytes')) {
      return {...none, problem: {ok: false, reason: 'nvidia-smi --help-query-gpu names no memory.used', fix: null}};
    }
    return {file, fields, problem: null};
  }
}

interface Found {
  readonly file: string;
  readonly fields: ReadonlyMap<SampleKey, string>;
  readonly problem: Extract<Availability, {ok: false}> | null;
}

interface SmiInput {
  readonly file: string;
  readonly fields: ReadonlyMap<SampleKey, string>;
  readonly target: GpuTarget;
  readonly context: SampleContext;
  readonly options: NvidiaSmiOptions;
}

class SmiRecording implements Recording {
  readonly #input: SmiInput;
  readonly #periodMs: number;
  readonly #log: GpuLog;
  readonly #processes: GpuProcesses;
  readonly #tree: ProcessTree;
  readonly #caveats: Caveat[] = [];
  readonly #looks = new Set<Promise<void>>();
  readonly #noMoreLooks = new AbortController();
  #child: GuardedChild | undefined;
  #watch: NodeJS.Timeout | undefined;
  #starts = 0;
  #ready: () => void = () => undefined;
  #onLoss: () => void = () => undefined;
  #result: Promise<SamplerResult> | undefined;

  constructor(input: SmiInput) {
    this.#input = input;
    const {target, context, options} = input;
    this.#periodMs = Math.max(LEAST_PERIOD_MS, context.periodMs);
    this.#log = new GpuLog({source: 'nvidia-smi', periodMs: this.#periodMs, ...target});
    this.#processes = new GpuProcesses({source: 'nvidia-smi', hostPids: options.hostPids ?? seesHostPids()});
    this.#tree = new ProcessTree(options.files, context.pid);
  }

  /** Resolves when readings come and the processes on the card are known, or when there is no sign of life. */
  async begin(onLoss: () => void): Promise<void> {
    this.#onLoss = onLoss;
    const stream = new Promise<void>((resolve) => {
      this.#ready = resolve;
      this.#open();
    });
    await Promise.all([stream, this.#lookAtProcesses(new Set(), true)]);
  }

  giveUp(reason: string): void {
    this.#caveats.push({code: 'sampler-lost', value: `nvidia-smi:${reason}`});
  }

  /** The first measured request is under way when `measure` begins: starting a program is too dear for that moment. */
  edge(phase: CellPhase): void {
    if ((phase !== 'warmup' && phase !== 'end') || this.#child === undefined || this.#result !== undefined) return;
    const tree = new Set(this.#tree.refresh());
    const look = this.#lookAtProcesses(tree, false).finally(() => this.#looks.delete(look));
    this.#looks.add(look);
  }

  async stop(): Promise<SamplerResult> {
    this.#result ??= this.#end();
    return await this.#result;
  }

  async #end(): Promise<SamplerResult> {
    clearTimeout(this.#watch);
    this.#child?.kill();
    await waitFor([...this.#looks], LAST_ANSWER_MS);
    this.#noMoreLooks.abort();
    return {
      series: [...this.#log.series(), ...this.#processes.series()],
      caveats: [...this.#input.target.caveats, ...this.#caveats, ...this.#log.caveats(), ...this.#processes.caveats()],
    };
  }

  #open(): void {
    this.#starts++;
    const {file, fields, target, options} = this.#input;
    const {env = process.env, startMs = START_MS} = options;
    const query = [...new Set(fields.values())].join(',');
    const child = new GuardedChild(
      file,
      ['-i', String(target.index), `--query-gpu=${query}`, '--format=csv,nounits', '-lms', String(this.#periodMs)],
      env,
    );
    this.#child = child;
    const stream = new SampleStream();
    child.onOutput((chunk) => {
      if (this.#child !== child || this.#result !== undefined) return;
      this.#take(stream.push(chunk.toString('latin1')));
    });
    child.onClosed(() => this.#lose(child, 'ended'));
    this.#expect(child, startMs);
  }

  #take(items: readonly StreamItem[]): void {
    const nowMs = this.#input.context.nowMs();
    const last = items.findLast((item) => 'sample' in item);
    for (const item of items) {
      if ('garbage' in item) this.#log.unreadable(nowMs);
      else this.#push(arrivalMs(item.sample, last?.sample ?? item.sample, nowMs), item.sample);
    }
    if (last === undefined) return;
    this.#ready();
    if (this.#child !== undefined) {
      this.#expect(this.#child, Math.max(this.#input.options.silenceMs ?? SILENCE_MS, 5 * this.#periodMs));
    }
  }

  #push(tMs: number, sample: GpuSample): void {
    // A torn line that happens to have the right number of fields names another card, or none.
    const {index} = sample;
    const own = !this.#input.fields.has('index') || index === this.#input.target.index;
    if (!own) {
      this.#log.unreadable(tMs);
      return;
    }
    this.#log.push(tMs, {...sample, energyJ: null});
    this.#log.pushSlow(tMs, sample);
  }

  #expect(child: GuardedChild, ms: number): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lose(child, 'silent'), ms);
  }

  /** The first time it is started again, for the driver may only have hiccupped. */
  #lose(child: GuardedChild, how: string): void {
    if (this.#child !== child || this.#result !== undefined) return;
    clearTimeout(this.#watch);
    child.kill();
    if (this.#caveats.length === 0) this.giveUp(how);
    if (this.#starts < 2) {
      this.#open();
      return;
    }
    this.#child = undefined;
    this.#onLoss();
    this.#ready();
  }

  async #lookAtProcesses(tree: ReadonlySet<number>, baseline: boolean): Promise<void> {
    const {file, target, context, options} = this.#input;
    const answer = await runNvidiaSmi(
      file,
      [
        '-i',
        String(target.index),
        '--query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory',
        '--format=csv,nounits',
      ],
      {env: options.env ?? process.env, timeoutMs: QUERY_MS, signal: this.#noMoreLooks.signal},
    );
    const apps = answer.ok ? parseComputeApps(answer.text) : null;
    if (apps === null) return;
    const here = apps.filter(({gpuUuid}) => target.uuid === null || gpuUuid === target.uuid);
    this.#processes.take(context.nowMs(), here, tree, baseline);
  }
}

/** Lines that came in one piece were printed one after the other: their own times tell how long before the last one. */
function arrivalMs(sample: GpuSample, last: GpuSample, nowMs: number): number {
  const beforeMs = timestampDifferenceMs(sample.timestamp, last.timestamp);
  return beforeMs === null || beforeMs < 0 || beforeMs > MOST_DELAY_MS ? nowMs : nowMs - beforeMs;
}

async function waitFor(promises: readonly Promise<void>[], ms: number): Promise<void> {
  if (promises.length === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.allSettled(promises), late]);
  clearTimeout(timer);
}
