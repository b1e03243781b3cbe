import {type OpenFile, parseNumber, readNumber, type SystemFiles} from '../linux/system-files.ts';

const CPU_FOLDER = '/sys/devices/system/cpu';

/** Core clocks of all CPUs. Null when the machine has none that moves. */
export interface ClockReader {
  /** Hz, one a CPU. */
  read(): readonly number[];
  readonly source: string;
  close(): void;
}

/**
 * From the frequency driver, else from /proc/cpuinfo where the kernel measures it. Without the flag `aperfmperf` (most
 * virtual machines) cpuinfo repeats the frequency of the time stamp counter: that is no measurement.
 */
export function openClocks(files: SystemFiles): ClockReader | null {
  const paths = files
    .list(CPU_FOLDER)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `${CPU_FOLDER}/${name}/cpufreq/scaling_cur_freq`)
    .filter((path) => readNumber(files, path) !== null);
  if (paths.length > 0) {
    const open = paths.map((path) => files.open(path));
    return {
      source: 'scaling_cur_freq',
      read: () => open.flatMap((file) => toHz(parseNumber(file.read()), 1e3)),
      close: () => closeAll(open),
    };
  }
  const info = files.open('/proc/cpuinfo');
  if (/^flags\s*:.*\baperfmperf\b/m.test(info.read() ?? '')) {
    return {
      source: '/proc/cpuinfo',
      read: () =>
        [...(info.read() ?? '').matchAll(/^cpu MHz\s*:\s*([\d.]+)$/gm)].flatMap((m) => toHz(Number(m[1]), 1e6)),
      close: () => info.close(),
    };
  }
  info.close();
  return null;
}

export interface TemperatureReader {
  /** °C, the hottest sensor of the CPU; null when none answers. */
  read(): number | null;
  /** °C at which the maker says the CPU is too hot, where it says so. */
  readonly limitC: number | null;
  readonly source: string;
  close(): void;
}

/** Drivers of CPU sensors: Intel, AMD, AMD by a third party, ARM boards. */
const HWMON_NAMES: ReadonlySet<string> = new Set(['coretemp', 'k10temp', 'zenpower', 'cpu_thermal']);
const ZONE_TYPES: ReadonlySet<string> = new Set(['x86_pkg_temp', 'cpu-thermal', 'cpu_thermal', 'soc_thermal']);

export function openTemperature(files: SystemFiles): TemperatureReader | null {
  const hwmon = files
    .list('/sys/class/hwmon')
    .map((name) => `/sys/class/hwmon/${name}`)
    .filter((folder) => HWMON_NAMES.has(files.text(`${folder}/name`)?.trim() ?? ''))
    .flatMap((folder) =>
      files
        .list(folder)
        .filter((name) => /^temp\d+_input$/.test(name))
        .map((name) => `${folder}/${name}`),
    );
  const zones = files
    .list('/sys/class/thermal')
    .map((name) => `/sys/class/thermal/${name}`)
    .filter((folder) => ZONE_TYPES.has(files.text(`${folder}/type`)?.trim() ?? ''))
    .map((folder) => `${folder}/temp`);
  const paths = (hwmon.length > 0 ? hwmon : zones).filter((path) => readNumber(files, path) !== null);
  if (paths.length === 0) return null;
  const open = paths.map((path) => files.open(path));
  const limits = hwmon.flatMap((path) => readNumber(files, path.replace('_input', '_max')) ?? []);
  return {
    source: hwmon.length > 0 ? 'hwmon' : 'thermal_zone',
    limitC: limits.length === 0 ? null : Math.min(...limits) / 1000,
    read() {
      const values = open.flatMap((file) => parseNumber(file.read()) ?? []);
      return values.length === 0 ? null : Math.max(...values) / 1000;
    },
    close: () => closeAll(open),
  };
}

function toHz(value: number | null, factor: number): number[] {
  return value === null || !Number.isFinite(value) ? [] : [value * factor];
}

function closeAll(open: readonly OpenFile[]): void {
  for (const file of open) file.close();
}
