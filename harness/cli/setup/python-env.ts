import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir, readFile, rm, statfs, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {execa} from 'execa';
import {z} from 'zod';
import {BenchError} from '../../contract/errors.ts';
import {formatBytes} from '../../contract/units.ts';
import {environmentPython} from '../../device/python.ts';
import {acquireLock} from '../../weights/cache-lock.ts';
import {BuildLog} from './build-step.ts';
import {basePython, findInstaller, type Installer, indexOptions} from './python-tools.ts';

export type TorchBuild = 'cpu' | 'cuda';

export interface PythonSetup {
  readonly cacheDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly build: TorchBuild;
  /** Installs gptqmodel and optimum, too; a failure of these is told and no error. */
  readonly gptqmodel: boolean;
  /** The Python to make the environment from; null = the first on PATH that fits. */
  readonly python: string | null;
  /** runners/transformers: requirements and the programs that verify. */
  readonly runnerDir: string;
  readonly signal: AbortSignal;
  onStep(text: string): void;
}

export interface PythonEnvironment {
  readonly executable: string;
  /** True when it was there and whole. */
  readonly reused: boolean;
  readonly torch: string;
  readonly transformers: string;
  readonly devices: readonly string[];
  /** Why the extra is missing although it was asked for; null when all is well. */
  readonly gptqmodelProblem: string | null;
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Rough sizes of torch 2.14 for Linux on x86-64, packages of the other requirements included. */
const SIZES = {
  cpuBuild: {download: 260 * MIB, disk: 1.5 * GIB},
  linked: {download: 2.4 * GIB, disk: 5 * GIB},
  cuda: {download: 2.9 * GIB, disk: 7 * GIB},
} as const;

/** The last thing written: an environment without it is half made. */
const MARKER = 'bench-environment.json';
const MarkerSchema = z.object({
  build: z.enum(['cpu', 'cuda']),
  gptqmodel: z.boolean(),
  /** SHA-256 of the requirements it was made from. */
  requirements: z.string(),
});
type Marker = z.infer<typeof MarkerSchema>;

const VerifiedSchema = z.object({torch: z.string(), transformers: z.string(), devices: z.array(z.string())});
type Verified = z.infer<typeof VerifiedSchema>;

/**
 * Makes the environment in `<cache>/python`, mends a half-made one, or finds that it is whole.
 *
 * @throws {BenchError} SETUP_FAILED with the log, DISK_FULL, INTERRUPTED.
 */
export async function makePythonEnvironment(setup: PythonSetup): Promise<PythonEnvironment> {
  const {cacheDir, signal, onStep} = setup;
  await mkdir(cacheDir, {recursive: true});
  const release = await acquireLock({
    dir: join(cacheDir, 'locks'),
    name: 'python',
    what: 'setup python',
    signal,
    onWait: onStep,
  });
  try {
    return await make(setup);
  } finally {
    await release();
  }
}

async function make(setup: PythonSetup): Promise<PythonEnvironment> {
  const {cacheDir, runnerDir, onStep, gptqmodel, build} = setup;
  const folder = join(cacheDir, 'python');
  const executable = environmentPython(folder);
  const wanted: Marker = {build, gptqmodel, requirements: await requirementsHash(runnerDir)};
  const present = await readMarker(folder);
  if (present !== null && covers(present, wanted)) {
    onStep('an environment is there: verifying it by a forward pass');
    const verified = await verify(executable, runnerDir).catch(() => null);
    if (verified !== null) return {executable, reused: true, ...verified, gptqmodelProblem: null};
    onStep('it does not work any more: mending it');
  } else if (existsSync(folder)) {
    onStep(
      present === null
        ? 'a half-made environment is there: mending it'
        : 'the environment is of another kind: changing it',
    );
  }

  await rm(join(folder, MARKER), {force: true});
  const installer = await findInstaller(setup.env);
  const log = new BuildLog(join(cacheDir, 'python-setup.log'), setup.signal);
  await makeFolder(setup, installer, log, folder);
  const install = (file: string, what: string) =>
    log.run(
      what,
      ...installer.install(executable, [
        ...indexOptions(installer, setup.env),
        '--no-deps',
        '--require-hashes',
        '-r',
        join(runnerDir, file),
      ]),
      cacheDir,
    );
  await installTorch(setup, install);
  onStep('installing transformers, accelerate and safetensors (about 60 MB)');
  await install('requirements-base.txt', 'installing transformers');
  onStep('verifying by a forward pass');
  let verified = await verify(executable, runnerDir);
  let gptqmodelProblem: string | null = null;
  if (gptqmodel) {
    onStep('installing the extra: gptqmodel and optimum (about 100 MB; gptqmodel is built here)');
    gptqmodelProblem = await installExtra(install, executable, runnerDir);
    // The extra may have failed half-way: the rest must still work.
    verified = await verify(executable, runnerDir);
  }
  await writeFile(
    join(folder, MARKER),
    `${JSON.stringify({...wanted, gptqmodel: gptqmodel && gptqmodelProblem === null})}\n`,
  );
  return {executable, reused: false, ...verified, gptqmodelProblem};
}

/** The CUDA build runs on a CPU, too, and gptqmodel does not hurt who did not ask for it. */
function covers(present: Marker, wanted: Marker): boolean {
  return (
    present.requirements === wanted.requirements &&
    (present.build === wanted.build || wanted.build === 'cpu') &&
    (present.gptqmodel || !wanted.gptqmodel)
  );
}

async function makeFolder(setup: PythonSetup, installer: Installer, log: BuildLog, folder: string): Promise<void> {
  const executable = environmentPython(folder);
  if (existsSync(folder) && (await works(executable, installer))) return;
  const base = await basePython(setup.python, setup.env);
  setup.onStep(`making a virtual environment with ${base.path} (Python ${base.version}) and ${installer.name}`);
  await rm(folder, {recursive: true, force: true});
  const [program, args] = installer.create(base.path, folder);
  await log.run('making a virtual environment', program, args, setup.cacheDir).catch((error: unknown) => {
    if (!(error instanceof BenchError) || error.code !== 'SETUP_FAILED' || installer.name === 'uv') throw error;
    throw new BenchError(
      'SETUP_FAILED',
      `${error.message}; on Debian: sudo apt-get install python3-venv, or install uv`,
      {
        cause: error,
      },
    );
  });
}

async function works(executable: string, installer: Installer): Promise<boolean> {
  const [program, args] = installer.check(executable);
  return !(await execa(program, args, {reject: false, stdin: 'ignore'})).failed;
}

type Install = (file: string, what: string) => Promise<void>;

async function installTorch({build, cacheDir, onStep}: PythonSetup, install: Install): Promise<void> {
  if (build === 'cuda') {
    await announce(cacheDir, onStep, 'PyTorch with CUDA', SIZES.cuda);
    return install('requirements-torch-cuda.txt', 'installing torch');
  }
  if (process.platform === 'linux' && process.arch === 'x64') {
    await announce(cacheDir, onStep, 'the CPU build of PyTorch, if a configured package index has it', SIZES.cpuBuild);
    try {
      return await install('requirements-torch-cpu.txt', 'installing torch');
    } catch (error) {
      if (!(error instanceof BenchError) || error.code !== 'SETUP_FAILED') throw error;
      onStep('no configured package index has the CPU build (PIP_EXTRA_INDEX_URL names one more)');
    }
  }
  const size = process.platform === 'linux' ? SIZES.linked : SIZES.cpuBuild;
  await announce(cacheDir, onStep, 'PyTorch with the libraries that it cannot be imported without', size);
  return install('requirements-torch-linked.txt', 'installing torch');
}

/** @throws {BenchError} DISK_FULL */
async function announce(
  cacheDir: string,
  onStep: (text: string) => void,
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

async function installExtra(install: Install, executable: string, runnerDir: string): Promise<string | null> {
  try {
    await install('requirements-gptqmodel.txt', 'installing gptqmodel');
  } catch (error) {
    if (error instanceof BenchError && error.code === 'SETUP_FAILED') return error.message;
    throw error;
  }
  const {stdout} = await execa(executable, [join(runnerDir, 'probe.py'), '--deep'], {reject: false, stdin: 'ignore'});
  const answer = z
    .object({kernels: z.record(z.string(), z.union([z.literal(true), z.string()]))})
    .safeParse(parse(stdout));
  const verdict = answer.success ? answer.data.kernels['torch'] : 'it ended while it was imported';
  return verdict === true ? null : (verdict ?? 'it is not there');
}

/** @throws {BenchError} SETUP_FAILED with the last line that Python said. */
export async function verify(executable: string, runnerDir: string): Promise<Verified> {
  const result = await execa(executable, [join(runnerDir, 'verify.py')], {reject: false, stdin: 'ignore'});
  const parsed = VerifiedSchema.safeParse(parse(result.stdout ?? ''));
  if (parsed.success) return parsed.data;
  const last = (result.stderr ?? '').trim().split('\n').at(-1) ?? '';
  throw new BenchError(
    'SETUP_FAILED',
    `${executable} cannot run a model: ${last || result.shortMessage || 'no answer'}`,
  );
}

async function requirementsHash(runnerDir: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of ['base', 'torch-cpu', 'torch-cuda', 'torch-linked', 'gptqmodel']) {
    hash.update(await readFile(join(runnerDir, `requirements-${name}.txt`)));
  }
  return hash.digest('hex');
}

async function readMarker(folder: string): Promise<Marker | null> {
  const text = await readFile(join(folder, MARKER), 'utf8').catch(() => '');
  const parsed = MarkerSchema.safeParse(parse(text));
  return parsed.success ? parsed.data : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
