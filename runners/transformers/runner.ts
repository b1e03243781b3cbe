import {fileURLToPath} from 'node:url';
import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import {FORMATS} from '../../harness/contract/format.ts';
import type {Launch, Runner, Support} from '../../harness/contract/runner.ts';
import {missingFlags} from '../worker-kit/cpu-isa.ts';
import {gpuEnvironment} from '../worker-kit/gpu-environment.ts';

/** The kernel of weights that are not quantized: torch's own linear layer. */
const PLAIN_KERNEL = 'torch-linear';
/** What `auto` may become for gptq-4bit: the lists in torch_worker/kernels.py. */
const AUTO = {
  cpu: ['int4pack-cpu', 'dequant-eager'],
  cuda: ['marlin', 'exllama-v2', 'dequant-triton', 'dequant-eager'],
};
const CPU_ONLY = ['int4pack-cpu'];

const no = (reason: string): Support => ({ok: false, reason});
const missing = (reason: string): Support => ({ok: false, reason, missing: true});

/** Hugging Face safetensors through PyTorch: fp32, bf16, fp16, and gptq-4bit with a kernel of choice. */
export const transformersRunner: Runner = {
  id: 'transformers',
  doc: 'Safetensors and GPTQ through PyTorch and Hugging Face transformers; the kernel for gptq-4bit is a choice.',
  needsWeights: true,

  supports(cell: Cell, host: HostFacts): Support {
    const {python, pythonReason} = host.software;
    if (FORMATS[cell.format].family === 'gguf') {
      return no(`transformers runs safetensors and GPTQ, not ${cell.format}: use llama-cpp`);
    }
    if (python === null) return missing(pythonReason ?? 'no Python with PyTorch: run `bench setup python`');
    const {gpuLayers, engineBuild} = cell.settings;
    if (cell.deviceKind === 'cuda' && !python.cuda) return missing(whyNoGpu(python.torch, host));
    if (gpuLayers !== 0 && cell.deviceKind === 'cpu') return no('gpu_layers must be 0 on a CPU');
    if (gpuLayers === 0 && cell.deviceKind === 'cuda')
      return no('transformers runs all layers on the GPU: gpu_layers all');
    if (engineBuild === 'native') return no('engine_build native is for llama.cpp: PyTorch has prebuilt only');
    if (cell.workload.concurrency > 1) {
      return no(
        'transformers runs one request at a time: use batch for sequences decoded together, or a server runner',
      );
    }
    return isaSupport(cell, host) ?? kernelSupport(cell, python.kernels) ?? {ok: true};
  },

  launch(cell: Cell, host: HostFacts): Launch {
    return {
      file: host.software.python?.executable ?? 'python3',
      args: [workerPath(import.meta.url)],
      env: {...gpuEnvironment(cell, host), PYTHONUNBUFFERED: '1'},
    };
  },
};

/** A build names its CUDA: `2.14.1+cu130`. A driver runs what was built for a CUDA up to its own. */
function whyNoGpu(torch: string, {gpus}: HostFacts): string {
  if (torch.endsWith('+cpu')) return `torch ${torch} was built for CPUs: run \`bench setup python --cuda\``;
  const [, built] = /\+cu(\d+)\d$/.exec(torch) ?? [];
  const {driver, cuda} = gpus[0] ?? {driver: '', cuda: null};
  if (built !== undefined && cuda !== null && Number.parseInt(cuda, 10) < Number(built)) {
    return (
      `torch ${torch} needs a driver for CUDA ${built}, and ${driver} goes up to CUDA ${cuda}: update the driver, or set ` +
      `BENCH_PYTHON to a Python whose PyTorch was built for CUDA ${Number.parseInt(cuda, 10)}`
    );
  }
  return `torch ${torch} sees no GPU: run \`bench setup python --cuda\`, or update the driver`;
}

/** The Python sources lie in the source tree, also when the runner was compiled to `dist`. */
export function workerPath(runnerUrl: string): string {
  const source = runnerUrl.endsWith('.ts');
  return fileURLToPath(new URL(source ? './worker.py' : '../../../runners/transformers/worker.py', runnerUrl));
}

function isaSupport({isa}: Cell, {cpu}: HostFacts): Support | null {
  if (isa === 'native') return null;
  if (cpu.architecture !== 'x64') return no(`isa ${isa} is for x86-64, and this machine is ${cpu.architecture}`);
  const missing = missingFlags(isa, cpu.flags);
  return missing.length === 0 ? null : no(`isa ${isa}: this CPU lacks ${missing.join(', ')}`);
}

function kernelSupport(cell: Cell, verdicts: Readonly<Record<string, true | string>>): Support | null {
  const {kernel, deviceKind, format} = cell;
  if (FORMATS[format].family !== 'gptq') {
    if (kernel === 'auto' || kernel === PLAIN_KERNEL) return null;
    return no(`kernel ${kernel} is for gptq-4bit: ${format} is multiplied by ${PLAIN_KERNEL}`);
  }
  const reasonOf = (name: string): string | null => {
    if (deviceKind === 'cuda' && CPU_ONLY.includes(name)) return 'runs on the CPU only';
    // A GPU in the machine makes no difference to a cell on its CPU.
    if (deviceKind === 'cpu' && !AUTO.cpu.includes(name) && name !== 'torch' && name in verdicts) {
      return 'needs an NVIDIA GPU';
    }
    const verdict = verdicts[name] ?? `there is none: ${Object.keys(verdicts).join(', ')}`;
    return verdict === true ? null : verdict;
  };
  const asked = kernel === 'auto' ? AUTO[deviceKind] : [kernel];
  const reasons = asked.map((name) => ({name, reason: reasonOf(name)}));
  if (reasons.some(({reason}) => reason === null)) return null;
  return no(reasons.map(({name, reason}) => `kernel ${name}: ${reason}`).join('; '));
}
