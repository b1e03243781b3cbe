import type {HostFacts} from '../contract/device.ts';
import type {Sampler} from '../contract/sampler.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {CgroupSampler} from './cgroup.ts';
import {CpuSampler} from './cpu.ts';
import {ProcessMemorySampler} from './process-memory.ts';
import {RaplSampler} from './rapl.ts';
import {Ticker} from './ticker.ts';

/** Every counter that bench knows, readable here or not: ask each for `available()`. They share one timer. */
export function allSamplers({files = systemFiles()}: {host?: HostFacts; files?: SystemFiles} = {}): readonly Sampler[] {
  const shared = {files, ticker: new Ticker()};
  return [new ProcessMemorySampler(shared), new CgroupSampler(shared), new CpuSampler(shared), new RaplSampler(shared)];
}
