import {BenchError} from '../contract/errors.ts';
import type {Availability, Recording, SampleContext, Sampler, SamplerResult} from '../contract/sampler.ts';
import {type CgroupPath, findCgroup} from '../linux/cgroup.ts';
import {parseNumber, readNumber, type SystemFiles} from '../linux/system-files.ts';
import {gapCaveats} from './gap-caveats.ts';
import {SeriesLog} from './series-log.ts';
import {KEPT_PERIOD_MS, type Ticker} from './ticker.ts';

const UNITS = {cgroup_memory_bytes: 'bytes'} as const;
const PEAK_UNITS = {cgroup_memory_peak_bytes: 'bytes'} as const;

/**
 * Memory that the kernel charges to the control group of the worker, version 1 or 2. It holds the file cache, too, and
 * whatever else runs in the group (the harness, when it was started in the same one); pages of a weights file that
 * somebody else read first are charged to them. The peak counts from the making of the group, not from the cell's start.
 */
export class CgroupSampler implements Sampler {
  readonly id = 'cgroup';
  readonly #files: SystemFiles;
  readonly #ticker: Ticker;

  constructor({files, ticker}: {files: SystemFiles; ticker: Ticker}) {
    this.#files = files;
    this.#ticker = ticker;
  }

  async available(): Promise<Availability> {
    const path = findCgroup(this.#files, 'memory');
    if (path === null)
      return {
        ok: false,
        reason: 'no memory controller of control groups; peaks of process-memory do without',
        fix: 'boot with cgroup_enable=memory',
      };
    const {current, peak} = filesOf(path);
    if (readNumber(this.#files, current) === null) {
      return {
        ok: false,
        reason: 'this process is in the root group, which counts nothing',
        fix: 'systemd-run --user --scope bench matrix',
      };
    }
    const detail =
      readNumber(this.#files, peak) === null ? 'memory in use (no peak: older kernel)' : 'memory in use, peak';
    return {ok: true, detail: `version ${path.version}: ${detail}`};
  }

  async start({pid, periodMs, nowMs}: SampleContext): Promise<Recording> {
    const path = findCgroup(this.#files, 'memory', pid);
    if (path === null || readNumber(this.#files, filesOf(path).current) === null) {
      throw new BenchError('SAMPLER_UNAVAILABLE', `cgroup: no memory counter for process ${pid}`);
    }
    const current = this.#files.open(filesOf(path).current);
    const peak = this.#files.open(filesOf(path).peak);
    const slowMs = Math.max(KEPT_PERIOD_MS, periodMs);
    const log = new SeriesLog(UNITS, slowMs);
    // The kernel keeps the peak: between the edges of the phases nobody has to look.
    const peaks = new SeriesLog(PEAK_UNITS, 0);
    const take = (tMs: number, missed = 0) => log.push(tMs, {cgroup_memory_bytes: parseNumber(current.read())}, missed);
    const takeBoth = () => {
      const tMs = nowMs();
      take(tMs);
      peaks.push(tMs, {cgroup_memory_peak_bytes: parseNumber(peak.read())});
    };
    takeBoth();
    const unsubscribe = this.#ticker.every(slowMs, nowMs, take);
    let result: SamplerResult | undefined;
    return {
      edge: () => {
        if (result === undefined) takeBoth();
      },
      stop: async () => {
        unsubscribe();
        current.close();
        peak.close();
        result ??= {series: [...log.series(), ...peaks.series()], caveats: gapCaveats(log.gapRatio)};
        return result;
      },
    };
  }
}

function filesOf({version, folders: [folder]}: CgroupPath): {current: string; peak: string} {
  return version === 2
    ? {current: `${folder}/memory.current`, peak: `${folder}/memory.peak`}
    : {current: `${folder}/memory.usage_in_bytes`, peak: `${folder}/memory.max_usage_in_bytes`};
}
