import {setTimeout as sleep} from 'node:timers/promises';
import type {Caveat} from '../contract/caveats.ts';
import {memoryStatField} from '../linux/memory-stat.ts';
import {onBattery} from '../linux/power-supply.ts';
import {parseHostCpuTimes} from '../linux/proc-stat.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {nodeCpus, readCpu} from './cpu.ts';
import {readVirtualization} from './virtualization.ts';

/** Cores that others may use before the host counts as busy. */
const FOREIGN_CORES = 0.1;
const STEAL_RATIO = 0.01;

export interface QuietOptions {
  readonly files?: SystemFiles;
  readonly signal?: AbortSignal | undefined;
  /** @default 300 */
  readonly windowMs?: number;
  readonly wait?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
  readonly nowMs?: () => number;
  /** CPU time of this process so far, in seconds. */
  readonly ownCpuS?: () => number;
}

/** Watches the host for a moment: reasons to trust a run less that were there before it began, with their numbers. */
export async function checkQuiet({
  files = systemFiles(),
  signal,
  windowMs = 300,
  wait = (ms, abort) => sleep(ms, undefined, {signal: abort}),
  nowMs = () => performance.now(),
  ownCpuS = () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
}: QuietOptions = {}): Promise<Caveat[]> {
  const look = () => ({
    tMs: nowMs(),
    ownS: ownCpuS(),
    cpu: parseHostCpuTimes(files.text('/proc/stat') ?? ''),
    swapped: swappedPages(files),
  });
  const before = look();
  await wait(windowMs, signal);
  const after = look();

  const caveats: Caveat[] = [];
  const seconds = (after.tMs - before.tMs) / 1000;
  if (before.cpu !== null && after.cpu !== null && seconds > 0) {
    const busyS = after.cpu.busyS - before.cpu.busyS;
    const stealS = after.cpu.stealS - before.cpu.stealS;
    const totalS = busyS + stealS + after.cpu.idleS - before.cpu.idleS;
    const foreign = (busyS - (after.ownS - before.ownS)) / seconds;
    if (foreign > FOREIGN_CORES) caveats.push({code: 'not-quiet', value: `${foreign.toFixed(2)}-cores`});
    if (totalS > 0 && stealS / totalS > STEAL_RATIO) {
      caveats.push({code: 'cpu-steal', value: (stealS / totalS).toFixed(3)});
    }
  }
  const pages = before.swapped === null || after.swapped === null ? 0 : after.swapped - before.swapped;
  if (pages > 0) caveats.push({code: 'not-quiet', value: `${pages}-pages-swapped`});
  if (onBattery(files) === true) caveats.push({code: 'battery'});
  const cpu = readCpu(files, nodeCpus());
  const {governor} = cpu.facts;
  if (governor !== null && governor !== 'performance') {
    caveats.push({code: 'governor', value: governor.replaceAll(/[\s;]/g, '')});
  }
  const virtualization = cpu.hypervisor ? readVirtualization(files, true) : null;
  if (virtualization !== null) caveats.push({code: 'virtual', value: virtualization.replaceAll(/[\s;]/g, '')});
  return caveats;
}

function swappedPages(files: SystemFiles): number | null {
  const text = files.text('/proc/vmstat') ?? '';
  const swappedIn = memoryStatField(text, 'pswpin');
  const swappedOut = memoryStatField(text, 'pswpout');
  return swappedIn === null || swappedOut === null ? null : swappedIn + swappedOut;
}
