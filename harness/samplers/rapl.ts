import {BenchError} from '../contract/errors.ts';
import type {Availability, Recording, SampleContext, Sampler, SamplerResult} from '../contract/sampler.ts';
import {onBattery} from '../linux/power-supply.ts';
import {type OpenFile, parseNumber, readNumber, type SystemFiles} from '../linux/system-files.ts';
import {gapCaveats} from './gap-caveats.ts';
import {SeriesLog} from './series-log.ts';
import {KEPT_PERIOD_MS, type Ticker} from './ticker.ts';

const POWERCAP = '/sys/class/powercap';
const FIX = `sudo chmod a+r ${POWERCAP}/intel-rapl:*/energy_uj`;

/**
 * Energy of the CPU packages since the recording began, from the counters of Intel and AMD (RAPL). All sockets are
 * summed; memory is in it only where the maker counts it so. The counter wraps around after minutes; that is undone.
 */
export class RaplSampler implements Sampler {
  readonly id = 'rapl';
  readonly #files: SystemFiles;
  readonly #ticker: Ticker;

  constructor({files, ticker}: {files: SystemFiles; ticker: Ticker}) {
    this.#files = files;
    this.#ticker = ticker;
  }

  async available(): Promise<Availability> {
    const packages = findPackages(this.#files);
    if (packages.length === 0) {
      return {
        ok: false,
        reason: 'no RAPL counters, so no energy of the CPU: virtual machine, container, or a CPU without them',
        fix: 'rent bare metal; there: sudo modprobe intel_rapl_msr (Intel and AMD)',
      };
    }
    if (packages.some((folder) => readNumber(this.#files, `${folder}/energy_uj`) === null)) {
      return {ok: false, reason: 'RAPL counters are readable for root only', fix: FIX};
    }
    return {ok: true, detail: `energy of ${packages.length} CPU package${packages.length === 1 ? '' : 's'}`};
  }

  async start({periodMs, nowMs}: SampleContext): Promise<Recording> {
    const availability = await this.available();
    if (!availability.ok) throw new BenchError('SAMPLER_UNAVAILABLE', `rapl: ${availability.reason}`);
    const counters = findPackages(this.#files).map((folder) => new EnergyCounter(this.#files, folder));
    const slowMs = Math.max(KEPT_PERIOD_MS, periodMs);
    const log = new SeriesLog({rapl_package_j: 'J'}, slowMs);
    const take = (tMs: number, missed = 0) => log.push(tMs, {rapl_package_j: sum(counters)}, missed);
    take(nowMs());
    const unsubscribe = this.#ticker.every(slowMs, nowMs, take);
    let result: SamplerResult | undefined;
    return {
      edge: () => {
        if (result === undefined) take(nowMs());
      },
      stop: async () => {
        unsubscribe();
        for (const counter of counters) counter.close();
        const battery = onBattery(this.#files) === true ? [{code: 'battery'} as const] : [];
        result ??= {series: log.series(), caveats: [...gapCaveats(log.gapRatio), ...battery]};
        return result;
      },
    };
  }
}

/** One folder a socket. Cores and memory are folders below (`intel-rapl:0:0`); `psys` and `intel-rapl-mmio` count the same energy again. */
function findPackages(files: SystemFiles): readonly string[] {
  return files
    .list(POWERCAP)
    .filter((name) => /^intel-rapl:\d+$/.test(name))
    .map((name) => `${POWERCAP}/${name}`)
    .filter((folder) => files.text(`${folder}/name`)?.startsWith('package') === true);
}

function sum(counters: readonly EnergyCounter[]): number | null {
  let total = 0;
  // Every counter is read, also after one that failed: a counter left out for long could wrap around twice.
  const values = counters.map((counter) => counter.read());
  for (const value of values) {
    if (value === null) return null;
    total += value;
  }
  return total;
}

class EnergyCounter {
  readonly #file: OpenFile;
  /** The counter goes back to 0 above this. */
  readonly #rangeUj: number | null;
  #lastUj: number | null = null;
  #totalUj = 0;

  constructor(files: SystemFiles, folder: string) {
    this.#file = files.open(`${folder}/energy_uj`);
    this.#rangeUj = readNumber(files, `${folder}/max_energy_range_uj`);
  }

  /** Joules since the first reading. */
  read(): number | null {
    const now = parseNumber(this.#file.read());
    if (now === null) return null;
    const last = this.#lastUj ?? now;
    const step = now - last;
    // Without the range a wrap-around cannot be undone.
    if (step < 0 && this.#rangeUj === null) return null;
    this.#totalUj += step < 0 ? step + (this.#rangeUj ?? 0) + 1 : step;
    this.#lastUj = now;
    return this.#totalUj / 1e6;
  }

  close(): void {
    this.#file.close();
  }
}
