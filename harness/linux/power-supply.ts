import type {SystemFiles} from './system-files.ts';

/** True when a battery of this host is being discharged, false when it is not, null when the host has none. */
export function onBattery(files: SystemFiles): boolean | null {
  const supplies = files.list('/sys/class/power_supply').map((name) => `/sys/class/power_supply/${name}`);
  const batteries = supplies.filter(
    (folder) =>
      files.text(`${folder}/type`)?.trim() === 'Battery' &&
      // Batteries of mice and headsets are of no interest.
      files.text(`${folder}/scope`)?.trim() !== 'Device',
  );
  if (batteries.length === 0) return null;
  return batteries.some((folder) => files.text(`${folder}/status`)?.trim() === 'Discharging');
}
