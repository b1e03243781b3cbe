import {join} from 'node:path';
import type {Command} from 'commander';
import {BenchError} from '../../contract/errors.ts';
import {probePython} from '../../device/python.ts';
import {cacheDir} from '../../weights/cache-dir.ts';
import type {CommandContext} from '../context.ts';
import {PACKAGE_ROOT} from '../package-root.ts';
import {findProgram} from '../setup/build-tools.ts';
import {driverProblem} from '../setup/gpu-driver.ts';
import {makePythonEnvironment} from '../setup/python-env.ts';
import {verify} from '../setup/python-packages.ts';

interface Options {
  readonly cpu?: true;
  readonly cuda?: true;
  readonly gptqmodel?: true;
  readonly python?: string;
}

/** `bench setup python`. Prints the path of the Python to stdout, steps to stderr. */
export function registerSetupPythonCommand(program: Command, context: CommandContext): void {
  const setup =
    program.commands.find((command) => command.name() === 'setup') ??
    program.command('setup').description('engines that npm does not bring along');
  setup
    .command('python')
    .description('PyTorch and transformers, pinned and hashed, in a virtual environment of their own')
    .option('--cpu', 'PyTorch for CPUs')
    .option('--cuda', 'PyTorch for NVIDIA GPUs (default where nvidia-smi is found)')
    .option('--gptqmodel', 'install gptqmodel, too: more kernels for gptq-4bit')
    .option('--python <path>', 'the Python to make the environment from')
    .action(async (options: Options) => {
      if (options.cpu && options.cuda) throw new BenchError('USAGE', 'setup python: give --cpu or --cuda, not both');
      const {env, stderr, stdout, signal} = context;
      const runnerDir = join(PACKAGE_ROOT, 'runners', 'transformers');
      const say = (text: string) => stderr.write(`${text}\n`);
      const own = env['BENCH_PYTHON'] ?? '';
      if (own !== '') {
        const {reason} = await probePython({cacheDir: cacheDir(env), env, signal});
        if (reason !== null) throw new BenchError('SETUP_FAILED', `BENCH_PYTHON: ${reason}`);
        const {torch, transformers} = await verify({executable: own, runnerDir, signal});
        say(`BENCH_PYTHON is set and works (torch ${torch}, transformers ${transformers}): no environment is needed`);
        stdout.write(`${own}\n`);
        return;
      }
      const smi = await findProgram(['nvidia-smi'], env['PATH'] ?? '');
      const build = options.cuda || (smi !== null && !options.cpu) ? 'cuda' : 'cpu';
      if (build === 'cuda' && smi !== null) {
        const problem = await driverProblem(smi);
        // Said before gigabytes come; not refused, for a data-centre card can run newer CUDA on an old driver.
        if (problem !== null) say(`warning: ${problem}`);
      }
      const made = await makePythonEnvironment({
        cacheDir: cacheDir(env),
        env,
        build,
        gptqmodel: options.gptqmodel === true,
        python: options.python ?? null,
        runnerDir,
        signal,
        onStep: say,
      });
      say(
        `${made.reused ? 'it is whole' : 'done'}: torch ${made.torch}, transformers ${made.transformers}, runs on ${made.devices.join(' and ')}`,
      );
      if (build === 'cuda' && !made.devices.includes('cuda')) {
        say('PyTorch sees no GPU here: `bench doctor` says which, and what its driver can run');
      }
      if (made.gptqmodelProblem !== null) {
        say(`without gptqmodel, all else works: ${made.gptqmodelProblem}`);
      }
      stdout.write(`${made.executable}\n`);
    });
}
