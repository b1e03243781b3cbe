import {describe, expect, test} from 'vitest';
import {abilities} from '../../../harness/cli/doctor/abilities.ts';
import {type Diagnosis, doctorText} from '../../../harness/cli/doctor/doctor-text.ts';
import {styleFor} from '../../../harness/cli/terminal.ts';
import {CellSchema} from '../../../harness/contract/cell.ts';
import type {Runner} from '../../../harness/contract/runner.ts';
import {loadCatalogue} from '../../../harness/device/catalogue.ts';
import {readHostFacts} from '../../../harness/device/host-facts.ts';
import {CpuSampler} from '../../../harness/samplers/cpu.ts';
import {RaplSampler} from '../../../harness/samplers/rapl.ts';
import {Ticker} from '../../../harness/samplers/ticker.ts';
import {FakeHost} from '../../support/fake-host.ts';

const PLAIN = styleFor({isTTY: true}, {NO_COLOR: '1'});

function runner(id: string, reads: (format: string) => string | null, needsWeights = true): Runner {
  return {
    id,
    doc: '',
    needsWeights,
    supports(cell) {
      CellSchema.parse(cell);
      const reason = reads(cell.format);
      return reason === null ? {ok: true} : {ok: false, reason};
    },
    launch: () => expect.unreachable(),
  };
}

const RUNNERS = [
  runner('gguf-engine', (format) => (format.startsWith('gguf') ? null : `reads GGUF, and ${format} is none`)),
  runner('torch', (format) =>
    format.startsWith('gguf') ? 'reads no GGUF' : format === 'gptq-4bit' ? 'no kernel for gptq-4bit here' : null,
  ),
  runner('absent', () => 'nothing is installed: run `bench setup`'),
  runner('pretend', () => null, false),
];

async function diagnose(name: string, more: Partial<Diagnosis> = {}): Promise<Diagnosis> {
  const files = FakeHost.load(name);
  const software = {
    llamaPrebuiltDir: '/x',
    llamaNativeDir: null,
    llamaGpu: [],
    python: null,
    pythonReason: 'no Python',
  } as const;
  const catalogue = await loadCatalogue('matrices/devices.yaml');
  const read = await readHostFacts({catalogue, software, files, gpus: [], hostName: 'box'});
  const host = {...read, node: 'v20.20.2'};
  const rapl = new RaplSampler({files, ticker: new Ticker()});
  return {
    host,
    memoryBandwidth: {bytesPerS: 41.2e9, arrayBytes: 64 * 2 ** 20, cacheBytes: 16 * 2 ** 20},
    quiet: [{code: 'battery'}, {code: 'governor', value: 'powersave'}],
    counters: [{id: rapl.id, availability: await rapl.available()}],
    abilities: abilities(host, RUNNERS),
    ...more,
  };
}

describe('bench doctor', () => {
  test('says what a machine is, can run, disturbs it and can be counted', async () => {
    expect(doctorText(await diagnose('ryzen-5800hs-laptop'), PLAIN)).toMatchInlineSnapshot(`
      "machine
        host       box
        system     Ubuntu 24.04.2 LTS, kernel 6.8.0-60-generic, Node 20.20.2
        virtual    no
        CPU        AMD Ryzen 7 5800HS with Radeon Graphics
        cores      8 usable of 8 (16 logical), avx2, L3 16.0 MiB
        memory     15.4 GiB, 11.4 GiB free
        bandwidth  41.2 GB/s read, 8 threads, 64.0 MiB a pass
        llama.cpp  prebuilt, no native build (bench setup llama-cpp --native)
        Python     no Python

      devices
        ryzen-7-5800hs  AMD Ryzen 7 5800HS, in devices.yaml

      can run
        ✓ gguf-engine on ryzen-7-5800hs: all gguf
            not all safetensors, gptq-4bit: reads GGUF, and this format is none
        ✓ torch on ryzen-7-5800hs: all safetensors
            not gptq-4bit: no kernel for this format here
        ✗ absent on ryzen-7-5800hs
            not all safetensors, gptq-4bit, all gguf: nothing is installed: run \`bench setup\`
        ✓ pretend on ryzen-7-5800hs: all safetensors, gptq-4bit, all gguf
        – openai-http: any OpenAI-compatible server that a matrix names (matrices/serve-openai.yaml)

      quiet
        ! battery: The host runs on battery.
            Plug it in.
        ! governor [powersave]: The CPU frequency governor is not \`performance\`.
            sudo cpupower frequency-set -g performance.

      counters (what a run records beside times)
        – rapl  no RAPL counters, so no energy of the CPU: virtual machine, container, or a CPU without them; to change it: rent bare metal; there: sudo modprobe intel_rapl_msr (Intel and AMD)
      "
    `);
  });

  test('lists the kernels for gptq-4bit, and why some cannot run', async () => {
    const diagnosis = await diagnose('kvm-zen4');
    const python = {
      executable: '/usr/bin/python3',
      version: '3.12.4',
      torch: '2.14.1+cpu',
      transformers: '5.17.0',
      cuda: false,
      kernels: {
        'dequant-eager': true,
        'dequant-triton': 'needs an NVIDIA GPU',
        marlin: 'the package gptqmodel is not installed',
      },
    } as const;
    const software = {...diagnosis.host.software, python, pythonReason: null};
    const text = doctorText({...diagnosis, host: {...diagnosis.host, software}}, PLAIN);
    expect(text).toContain('  Python     3.12.4, torch 2.14.1+cpu, transformers 5.17.0 (/usr/bin/python3)\n');
    expect(text.split('\n\n').find((section) => section.startsWith('kernels'))).toMatchInlineSnapshot(`
      "kernels for gptq-4bit
        ✓ dequant-eager
        – dequant-triton  needs an NVIDIA GPU
        – marlin          the package gptqmodel is not installed"
    `);
    expect(doctorText(diagnosis, PLAIN)).not.toContain('kernels');
  });

  test('names the limit of a container, and what was not measured', async () => {
    const text = doctorText(await diagnose('container-v2', {memoryBandwidth: null, quiet: []}), PLAIN);
    expect(text).toContain('3.00 GiB free, limited to 4.00 GiB (cgroup)');
    expect(text).toContain('bandwidth  not measured');
    expect(text).toContain('✓ nothing else is running');
  });

  test('gives the command that opens a counter', async () => {
    const files = FakeHost.load('bare-epyc-rapl').remove('/sys/class/powercap/intel-rapl:0/energy_uj');
    const availability = await new RaplSampler({files, ticker: new Ticker()}).available();
    const text = doctorText(await diagnose('bare-epyc-rapl', {counters: [{id: 'rapl', availability}]}), PLAIN);
    expect(text).toContain('– rapl  RAPL counters are readable for root only; to change it: sudo chmod a+r');
  });

  test('says of a counter what it lacks here, and what that costs', async () => {
    const files = FakeHost.load('kvm-zen4');
    const cpu = new CpuSampler({files, ticker: new Ticker()});
    const counters = [{id: cpu.id, availability: await cpu.available()}];
    const text = doctorText(await diagnose('kvm-zen4', {counters}), PLAIN);
    expect(text.split('\n\n').find((section) => section.startsWith('counters'))).toMatchInlineSnapshot(`
      "counters (what a run records beside times)
        ✓ cpu  steal, foreign load, worker load, no core clock, no temperature
            no core clock: sm_clock_hz_median stays empty. Virtual machines show none; elsewhere: sudo modprobe acpi_cpufreq
            no temperature: temperature_c_max stays empty. Virtual machines show none; elsewhere: sudo modprobe coretemp (Intel), k10temp (AMD)
      "
    `);
  });

  test('control characters of a device name do not reach the terminal', async () => {
    const diagnosis = await diagnose('kvm-zen4');
    const host = {...diagnosis.host, cpu: {...diagnosis.host.cpu, model: 'evil\u001B]0;title\u0007'}};
    expect(doctorText({...diagnosis, host}, PLAIN)).toContain('CPU        evil ]0;title \n');
  });
});
