import type {Caveat} from '../contract/caveats.ts';
import {BenchError} from '../contract/errors.ts';
import type {Availability, Recording, SampleContext, Sampler, SamplerResult} from '../contract/sampler.ts';
import {type HostCpuTimes, parseHostCpuTimes, parseProcessTimes} from '../linux/proc-stat.ts';
import type {OpenFile, SystemFiles} from '../linux/system-files.ts';
import {type ClockReader, openClocks, openTemperature, type TemperatureReader} from './cpu-sensors.ts';
import {Duty} from './duty.ts';
import {gapCaveats} from './gap-caveats.ts';
import {ProcessTree} from './process-tree.ts';
import {SeriesLog} from './series-log.ts';
import {KEPT_PERIOD_MS, type Ticker} from './ticker.ts';

const TIME_UNITS = {cpu_steal_ratio: 'ratio', cpu_foreign_cores: 'ratio', cpu_worker_cores: 'ratio'} as const;
const SENSOR_UNITS = {cpu_clock_hz: 'Hz', cpu_temperature_c: '°C'} as const;

/** One file a CPU: dear on a machine with many. */
const SENSOR_PERIOD_MS = 1000;
const SENSOR_SHARE = 0.002;
const TREE_PERIOD_MS = 1000;
const NO_CLOCK =
  'no core clock: sm_clock_hz_median stays empty. Virtual machines show none; elsewhere: sudo modprobe acpi_cpufreq';
const NO_TEMPERATURE =
  'no temperature: temperature_c_max stays empty. Virtual machines show none; elsewhere: sudo modprobe coretemp (Intel), k10temp (AMD)';
/** Means over the measured phase that are worth a caveat. */
const FOREIGN_CORES = 0.1;
const STEAL_RATIO = 0.01;

/**
 * Who used the CPUs. Each value is a mean since the reading before: the share of all CPU time that the hypervisor took,
 * the cores that the worker used, and the cores that others used (everything busy on the host, less the worker's tree
 * and the harness itself; interrupts count as foreign, whoever caused them). With sensors: the clock of the fastest
 * cores, as many as the worker keeps busy, and the hottest CPU sensor.
 */
export class CpuSampler implements Sampler {
  readonly id = 'cpu';
  readonly #files: SystemFiles;
  readonly #ticker: Ticker;
  readonly #harnessCpuS: () => number;

  constructor({
    files,
    ticker,
    harnessCpuS = ownCpuS,
  }: {
    files: SystemFiles;
    ticker: Ticker;
    /** CPU time of this process so far, in seconds. */
    harnessCpuS?: () => number;
  }) {
    this.#files = files;
    this.#ticker = ticker;
    this.#harnessCpuS = harnessCpuS;
  }

  async available(): Promise<Availability> {
    if (parseHostCpuTimes(this.#files.text('/proc/stat') ?? '') === null) {
      return {ok: false, reason: 'no /proc/stat: not Linux, or /proc is not mounted', fix: null};
    }
    const clocks = openClocks(this.#files);
    const temperature = openTemperature(this.#files);
    const parts = [
      'steal, foreign load, worker load',
      clocks === null ? 'no core clock' : `core clock (${clocks.source})`,
      temperature === null ? 'no temperature' : `temperature (${temperature.source})`,
    ];
    const lacks = [...(clocks === null ? [NO_CLOCK] : []), ...(temperature === null ? [NO_TEMPERATURE] : [])];
    clocks?.close();
    temperature?.close();
    return {ok: true, detail: parts.join(', '), ...(lacks.length === 0 ? {} : {lacks})};
  }

  async start(context: SampleContext): Promise<Recording> {
    const recording = new CpuRecording(this.#files, context, this.#harnessCpuS);
    if (!recording.readable) {
      recording.end();
      throw new BenchError('SAMPLER_UNAVAILABLE', 'cpu: /proc/stat cannot be read');
    }
    const period = recording.periodMs;
    const unsubscribe = this.#ticker.every(period, context.nowMs, (tMs, missed) => recording.take(tMs, missed));
    let result: SamplerResult | undefined;
    return {
      edge(phase) {
        if (result === undefined) recording.edge(phase === 'measure', phase === 'end');
      },
      stop: async () => {
        unsubscribe();
        result ??= recording.end();
        return result;
      },
    };
  }
}

interface Counters {
  readonly tMs: number;
  readonly host: HostCpuTimes;
  readonly workerS: number;
  readonly harnessS: number;
}

class CpuRecording {
  readonly periodMs: number;
  readonly #context: SampleContext;
  readonly #files: SystemFiles;
  readonly #harnessCpuS: () => number;
  readonly #stat: OpenFile;
  readonly #tree: ProcessTree;
  readonly #processes = new Map<number, {readonly stat: OpenFile; cpuS: number}>();
  /** CPU time of processes of the tree that have ended. */
  #endedS = 0;
  readonly #clocks: ClockReader | null;
  readonly #temperature: TemperatureReader | null;
  readonly #times: SeriesLog<keyof typeof TIME_UNITS>;
  readonly #sensors: SeriesLog<keyof typeof SENSOR_UNITS>;
  readonly #sensorDuty = new Duty(SENSOR_SHARE);
  #last: Counters | null;
  #treeLookedMs: number;
  #sensorsReadMs = Number.NEGATIVE_INFINITY;
  #workerCores = 1;
  #measureFrom: Counters | null = null;
  #measureTo: Counters | null = null;

  constructor(files: SystemFiles, context: SampleContext, harnessCpuS: () => number) {
    this.#files = files;
    this.#context = context;
    this.#harnessCpuS = harnessCpuS;
    this.periodMs = Math.max(KEPT_PERIOD_MS, context.periodMs);
    this.#times = new SeriesLog(TIME_UNITS, this.periodMs);
    this.#sensors = new SeriesLog(SENSOR_UNITS, SENSOR_PERIOD_MS);
    this.#stat = files.open('/proc/stat');
    this.#clocks = openClocks(files);
    this.#temperature = openTemperature(files);
    this.#tree = new ProcessTree(files, context.pid);
    this.#treeLookedMs = context.nowMs();
    this.#last = this.#count(this.#treeLookedMs);
  }

  get readable(): boolean {
    return this.#last !== null;
  }

  take(tMs: number, missed = 0): void {
    if (tMs - this.#treeLookedMs >= TREE_PERIOD_MS) {
      this.#treeLookedMs = tMs;
      this.#tree.refresh();
    }
    const now = this.#count(tMs);
    const last = this.#last;
    this.#last = now ?? last;
    const reading = now === null || last === null ? null : shares(last, now);
    // Two readings within one tick of the kernel's clock have no difference to speak of.
    if (reading !== null || now === null) this.#times.push(tMs, reading ?? {}, missed);
    this.#workerCores = reading?.cpu_worker_cores ?? this.#workerCores;
    if (tMs - this.#sensorsReadMs >= SENSOR_PERIOD_MS && this.#sensorDuty.due(tMs)) {
      this.#sensorsReadMs = tMs;
      this.#sensorDuty.spend(tMs, () => this.#readSensors(tMs));
    }
  }

  edge(measureBegins: boolean, measureEnds: boolean): void {
    const tMs = this.#context.nowMs();
    this.take(tMs);
    if (measureBegins) this.#measureFrom = this.#last;
    if (measureEnds) this.#measureTo = this.#last;
  }

  end(): SamplerResult {
    this.#stat.close();
    for (const {stat} of this.#processes.values()) stat.close();
    this.#clocks?.close();
    this.#temperature?.close();
    return {series: [...this.#times.series(), ...this.#sensors.series()], caveats: this.#caveats()};
  }

  #caveats(): Caveat[] {
    const caveats: Caveat[] = [...gapCaveats(this.#times.gapRatio)];
    const to = this.#measureTo ?? this.#last;
    const mean = this.#measureFrom === null || to === null ? null : shares(this.#measureFrom, to);
    if (mean !== null && mean.cpu_foreign_cores > FOREIGN_CORES) {
      caveats.push({code: 'foreign-cpu', value: mean.cpu_foreign_cores.toFixed(2)});
    }
    if (mean !== null && mean.cpu_steal_ratio > STEAL_RATIO) {
      caveats.push({code: 'cpu-steal', value: mean.cpu_steal_ratio.toFixed(3)});
    }
    const hottest = Math.max(...this.#sensors.known('cpu_temperature_c'));
    const limit = this.#temperature?.limitC ?? null;
    if (limit !== null && hottest >= limit) caveats.push({code: 'hot', value: String(Math.round(hottest))});
    return caveats;
  }

  #count(tMs: number): Counters | null {
    const host = parseHostCpuTimes(this.#stat.read() ?? '');
    return host === null ? null : {tMs, host, workerS: this.#workerS(), harnessS: this.#harnessCpuS()};
  }

  #workerS(): number {
    let sum = 0;
    for (const pid of this.#tree.pids) {
      const known = this.#processes.get(pid) ?? {stat: this.#files.open(`/proc/${pid}/stat`), cpuS: 0};
      this.#processes.set(pid, known);
      const times = parseProcessTimes(known.stat.read() ?? '');
      if (times === null) {
        known.stat.close();
        this.#processes.delete(pid);
        this.#tree.drop(pid);
        this.#endedS += known.cpuS;
      } else {
        known.cpuS = times.cpuS;
        sum += times.cpuS;
      }
    }
    return sum + this.#endedS;
  }

  #readSensors(tMs: number): void {
    if (this.#clocks === null && this.#temperature === null) return;
    const busy = Math.max(1, Math.round(this.#workerCores));
    const fastest = [...(this.#clocks?.read() ?? [])].sort((a, b) => b - a).slice(0, busy);
    this.#sensors.push(tMs, {
      cpu_clock_hz: fastest.length === 0 ? null : fastest.reduce((sum, hz) => sum + hz, 0) / fastest.length,
      cpu_temperature_c: this.#temperature?.read() ?? null,
    });
  }
}

/** Means between two readings; null when less than one tick of the kernel's clock lies between them. */
function shares(from: Counters, to: Counters): Record<keyof typeof TIME_UNITS, number> | null {
  const seconds = (to.tMs - from.tMs) / 1000;
  const stealS = to.host.stealS - from.host.stealS;
  const busyS = to.host.busyS - from.host.busyS;
  const totalS = busyS + stealS + (to.host.idleS - from.host.idleS);
  if (seconds <= 0.01 || totalS <= 0) return null;
  const workerS = Math.max(0, to.workerS - from.workerS);
  const foreignS = busyS - workerS - (to.harnessS - from.harnessS);
  return {
    cpu_steal_ratio: Math.max(0, stealS / totalS),
    cpu_foreign_cores: Math.max(0, foreignS / seconds),
    cpu_worker_cores: workerS / seconds,
  };
}

function ownCpuS(): number {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1e6;
}
