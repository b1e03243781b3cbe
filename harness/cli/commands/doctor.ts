import type {Command} from 'commander';
import type {HostFacts} from '../../contract/device.ts';
import {BenchError} from '../../contract/errors.ts';
import type {Runner} from '../../contract/runner.ts';
import type {Sampler} from '../../contract/sampler.ts';
import {measureReadBandwidth} from '../../device/bandwidth.ts';
import {checkQuiet} from '../../device/quiet.ts';
import {allSamplers} from '../../samplers/catalog.ts';
import type {CommandContext} from '../context.ts';
import {abilities} from '../doctor/abilities.ts';
import {type Diagnosis, doctorText} from '../doctor/doctor-text.ts';
import {lookAtGpus} from '../doctor/gpu-look.ts';
import {readHost} from '../host.ts';
import {RUNNERS} from '../registry.ts';
import {styleFor} from '../terminal.ts';

/** `bench doctor`: what this machine is, what can run on it, is it quiet, what can be counted. */
export function registerDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .description('what this machine is, what can run on it and what not and why, is it quiet')
    .option('--device <name>', 'treat this machine as NAME')
    .option('--json', 'everything found, as one JSON object')
    .action(async (options: {device?: string; json?: true}) => {
      const {host} = await readHost(context, {forcedDevice: options.device, pythonProbe: 'deep'});
      const diagnosis = await diagnose(host, RUNNERS.values(), allSamplers({host}), context.signal);
      context.stdout.write(
        options.json === true
          ? `${JSON.stringify(diagnosis, null, 2)}\n`
          : doctorText(diagnosis, styleFor(context.stdout, context.env)),
      );
    });
}

/** The quiet check comes first: the bandwidth measurement is anything but quiet. */
async function diagnose(
  host: HostFacts,
  runners: Iterable<Runner>,
  samplers: readonly Sampler[],
  signal: AbortSignal,
): Promise<Diagnosis> {
  const quiet = await checkQuiet({signal});
  const gpuLooks = await lookAtGpus(host, samplers, signal);
  const bandwidth = await measureReadBandwidth({threads: host.cpu.usableCores, signal}).catch((error: unknown) => {
    // Too little memory for the arrays is no reason to keep the rest from the person who asks what is wrong.
    if (error instanceof BenchError && error.code === 'ENGINE_UNAVAILABLE') return error.message;
    throw error;
  });
  const counters = await Promise.all(
    samplers.map(async (sampler) => ({id: sampler.id, availability: await sampler.available()})),
  );
  return {
    host,
    ...(typeof bandwidth === 'string'
      ? {memoryBandwidth: null, memoryBandwidthProblem: bandwidth.replace(/^memory bandwidth: /, '')}
      : {memoryBandwidth: bandwidth}),
    quiet,
    counters,
    abilities: abilities(host, runners),
    gpuLooks,
  };
}
