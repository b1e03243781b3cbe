import {existsSync} from 'node:fs';
import {statfs} from 'node:fs/promises';
import {join} from 'node:path';
import {execa} from 'execa';
import {z} from 'zod';
import {BenchError} from '../../contract/errors.ts';
import {formatBytes} from '../../contract/units.ts';
import {oneLine} from '../../exec/log-reason.ts';
import type {BuildLog} from './build-step.ts';
import {type Installer, indexOptions} from './python-tools.ts';

export type TorchBuild = 'cpu' | 'cuda';

/** An environment that exists, whole or not, and what fills it. */
export interface PythonPlace {
  readonly executable: string;
  readonly cacheDir: string;
  /** runners/transformers: requirements and the programs that verify and mend. */
  readonly runnerDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly installer: Installer;
  readonly log: BuildLog;
  readonly signal: AbortSignal;
  onStep(text: string): void;
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Rough sizes of torch 2.14 for Linux on x86-64, packages of the other requirements included. */
const SIZES = {
  cpuBuild: {download: 260 * MIB, disk: 1.5 * GIB},
  linked: {download: 2.4 * GIB, disk: 5 * GIB},
  cuda: {download: 2.9 * GIB, disk: 7 * GIB},
} as const;

/** Settings of a person's own pip and Python that would put packages elsewhere, or take them from elsewhere. */
export const OWN_ENVIRONMENT = {PIP_USER: '0', PIP_TARGET: '', PIP_PREFIX: '', PIP_ROOT: '', PYTHONPATH: ''} as const;

/** PyTorch in the build asked for, then transformers, accelerate and safetensors. Does nothing for what is there. */
export async function installPackages(place: PythonPlace, build: TorchBuild): Promise<void> {
  await installTorch(place, build);
  place.onStep('installing transformers, accelerate and safetensors (about 60 MB)');
  await install(place, 'requirements-base.txt', 'installing transformers');
}

/** @throws {BenchError} SETUP_FAILED, DISK_FULL, INTERRUPTED. */
async function install(place: PythonPlace, file: string, what: string): Promise<void> {
  const {installer, executable, env, runnerDir, log, cacheDir} = place;
  const [program, args] = installer.install(executable, [
    ...indexOptions(installer, env),
    '--no-deps',
    '--require-hashes',
    '-r',
    join(runnerDir, file),
  ]);
  await log.run(what, program, args, cacheDir, OWN_ENVIRONMENT);
}

async function installTorch(place: PythonPlace, build: TorchBuild): Promise<void> {
  if (build === 'cuda') {
    await announce(place, 'PyTorch with CUDA', SIZES.cuda);
    return install(place, 'requirements-torch-cuda.txt', 'installing torch');
  }
  if (process.platform === 'linux' && process.arch === 'x64') {
    await announce(place, 'the CPU build of PyTorch, if a configured package index has it', SIZES.cpuBuild);
    try {
      return await install(place, 'requirements-torch-cpu.txt', 'installing torch');
    } catch (error) {
      if (!(error instanceof BenchError) || error.code !== 'SETUP_FAILED') throw error;
      for (const line of withoutCpuBuild(error.message)) place.onStep(line);
    }
  }
  const size = process.platform === 'linux' ? SIZES.linked : SIZES.cpuBuild;
  await announce(place, 'PyTorch with the libraries that it cannot be imported without', size);
  return install(place, 'requirements-torch-linked.txt', 'installing torch');
}

/** What the CPU build fails for, what comes instead, and how to have it: before gigabytes are downloaded. */
function withoutCpuBuild(failure: string): readonly string[] {
  const missing = /no matching distribution|not find a version|no version of/i.test(failure);
  const {cpuBuild, linked} = SIZES;
  return [
    missing ? 'no configured package index has the CPU build of PyTorch for this Python' : failure,
    'instead comes the CUDA build, which runs on CPUs, too: ' +
      `${formatBytes(linked.download)} to download instead of ${formatBytes(cpuBuild.download)}; to have the CPU build: ` +
      "Ctrl-C, set PIP_EXTRA_INDEX_URL to PyTorch's own index for CPUs (pytorch.org, Get Started, Compute Platform CPU), " +
      'and give the same command again',
  ];
}

/** @throws {BenchError} DISK_FULL */
async function announce(
  {cacheDir, onStep}: PythonPlace,
  what: string,
  {download, disk}: {readonly download: number; readonly disk: number},
): Promise<void> {
  onStep(`installing ${what}: downloads about ${formatBytes(download)}, takes about ${formatBytes(disk)} on disk`);
  // What a half-made environment holds already counts as needed: better too careful than a full disk.
  const {bavail, bsize} = await statfs(cacheDir);
  if (bavail * bsize >= disk || existsSync(join(cacheDir, 'python', 'lib'))) return;
  throw new BenchError(
    'DISK_FULL',
    `${cacheDir}: ${formatBytes(disk)} are needed, ${formatBytes(bavail * bsize)} are free`,
  );
}

/**
 * Installs gptqmodel and optimum.
 *
 * @returns Why they cannot be used; null when they can.
 * @throws {BenchError} DISK_FULL, INTERRUPTED.
 */
export async function installExtra(place: PythonPlace): Promise<string | null> {
  try {
    await install(place, 'requirements-gptqmodel.txt', 'installing gptqmodel');
  } catch (error) {
    if (error instanceof BenchError && error.code === 'SETUP_FAILED') return error.message;
    throw error;
  }
  return extraProblem(place);
}

const ProbeSchema = z.object({kernels: z.record(z.string(), z.union([z.literal(true), z.string()]))});

/** Imports gptqmodel. @returns Why it cannot be used; null when it can. */
export async function extraProblem({executable, runnerDir, signal}: PythonCall): Promise<string | null> {
  const {stdout, stderr} = await python({executable, signal}, [join(runnerDir, 'probe.py'), '--deep']);
  const answer = ProbeSchema.safeParse(parse(stdout));
  if (!answer.success) return `it ended while it was imported: ${lastLine(stderr) || 'without a word'}`;
  const verdict = answer.data.kernels['torch'];
  return verdict === true ? null : (verdict ?? 'it is not there');
}

const CompiledSchema = z.object({kernel: z.string(), seconds: z.number(), problem: z.string().nullable()});

/**
 * Compiles the kernels of gptqmodel that this machine can run, so that no cell has to. A kernel that cannot be compiled is
 * told and no error: its cells are refused with the reason.
 *
 * @throws {BenchError} DISK_FULL, INTERRUPTED.
 */
export async function compileKernels(place: PythonPlace): Promise<void> {
  const {executable, runnerDir, cacheDir, log, onStep} = place;
  onStep('compiling kernels of gptqmodel with nvcc, once: some minutes each');
  const tell = (line: string) => {
    const answer = CompiledSchema.safeParse(parse(line));
    if (!answer.success) return;
    const {kernel, seconds, problem} = answer.data;
    onStep(problem === null ? `${kernel}: compiled (${Math.round(seconds)} s)` : `${kernel}: ${problem}`);
  };
  const args = [join(runnerDir, 'compile_kernels.py')];
  try {
    await log.run('compiling kernels', executable, args, cacheDir, OWN_ENVIRONMENT, tell);
  } catch (error) {
    if (!(error instanceof BenchError) || error.code !== 'SETUP_FAILED') throw error;
    onStep(`${error.message}: cells compile them when they begin`);
  }
}

const MendedSchema = z.object({removed: z.array(z.string())});
/** A package of the CPU build counts as the plain one to an installer, which would leave it where CUDA is wanted. */
const CPU_BUILD = ['--without', 'torch+cpu'];

/**
 * Takes out what is damaged, so that installing puts it back.
 *
 * @returns False when the environment cannot be mended: its Python or its installer is damaged.
 */
export async function takeOutDamaged(place: PythonPlace, build: TorchBuild): Promise<boolean> {
  const [, check] = place.installer.check(place.executable);
  if (!(await python(place, check)).ok) return false;
  const args = [join(place.runnerDir, 'mend.py'), ...(build === 'cuda' ? CPU_BUILD : [])];
  const {stdout} = await python(place, args);
  const answer = MendedSchema.safeParse(parse(stdout));
  if (!answer.success) return false;
  const {removed} = answer.data;
  if (removed.length > 0) place.onStep(`installing again what is damaged or of another build: ${removed.join(', ')}`);
  return true;
}

const VerifiedSchema = z.object({torch: z.string(), transformers: z.string(), devices: z.array(z.string())});
export type Verified = z.infer<typeof VerifiedSchema>;

interface PythonCall {
  readonly executable: string;
  readonly runnerDir: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A forward pass on every device.
 *
 * @returns A text when it fails: the last line that Python said.
 * @throws {BenchError} INTERRUPTED.
 */
export async function tryVerify({executable, runnerDir, signal}: PythonCall): Promise<Verified | string> {
  const {stdout, stderr, shortMessage} = await python({executable, signal}, [join(runnerDir, 'verify.py')]);
  const parsed = VerifiedSchema.safeParse(parse(stdout));
  if (parsed.success) return parsed.data;
  return `${executable} cannot run a model: ${lastLine(stderr) || oneLine(shortMessage) || 'no answer'}`;
}

/** @throws {BenchError} SETUP_FAILED with the last line that Python said, INTERRUPTED. */
export async function verify(call: PythonCall): Promise<Verified> {
  const verified = await tryVerify(call);
  if (typeof verified === 'string') throw new BenchError('SETUP_FAILED', verified);
  return verified;
}

/** The version of a Python, `3.12.4`; null when it does not run. */
export async function versionOf(executable: string): Promise<string | null> {
  const {stdout} = await python({executable}, ['-c', 'import platform; print(platform.python_version())']);
  return stdout.trim() || null;
}

/** Importing PyTorch from a cold disk takes tens of seconds; a Python that hangs must not hang the setup. */
const PYTHON_TIMEOUT_MS = 600_000;

interface PythonAnswer {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly shortMessage: string;
}

async function python(
  {executable, signal}: {readonly executable: string; readonly signal?: AbortSignal | undefined},
  args: readonly string[],
): Promise<PythonAnswer> {
  const {stdout, stderr, shortMessage, failed} = await execa(executable, args, {
    env: {PYTHONPATH: ''},
    reject: false,
    stdin: 'ignore',
    timeout: PYTHON_TIMEOUT_MS,
    ...(signal === undefined ? {} : {cancelSignal: signal}),
  });
  if (signal?.aborted === true) throw new BenchError('INTERRUPTED', 'setup python was stopped');
  return {ok: !failed, stdout: stdout ?? '', stderr: stderr ?? '', shortMessage: shortMessage ?? ''};
}

const lastLine = (text: string): string => oneLine(text.trim().split('\n').at(-1) ?? '');

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
