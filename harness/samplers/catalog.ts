import type {HostFacts} from '../contract/device.ts';
import type {Sampler} from '../contract/sampler.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {CgroupSampler} from './cgroup.ts';
import {CpuSampler} from './cpu.ts';
import {NvidiaSmiSampler} from './nvidia-smi.ts';
import {NvmlSampler} from './nvml.ts';
import {ProcessMemorySampler} from './process-memory.ts';
import {RaplSampler} from './rapl.ts';
import {Ticker} from './ticker.ts';

/**
 * Every counter that bench knows, readable here or not: ask each for `available()`. They share one timer. Of NVML and
 * nvidia-smi at most one is available, NVML where it works.
 */
export function allSamplers({
  host = {gpus: [], devices: []},
  files = systemFiles(),
  env = process.env,
  ticker = new Ticker(),
}: {
  host?: Pick<HostFacts, 'gpus' | 'devices'>;
  files?: SystemFiles;
  env?: NodeJS.ProcessEnv;
  ticker?: Ticker;
} = {}): readonly Sampler[] {
  const shared = {files, ticker};
  const nvml = new NvmlSampler({files, host, env});
  return [
    new ProcessMemorySampler(shared),
    new CgroupSampler(shared),
    new CpuSampler(shared),
    new RaplSampler(shared),
    nvml,
    new NvidiaSmiSampler({files, host, env, insteadOf: nvml}),
  ];
}
