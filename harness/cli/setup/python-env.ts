import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {z} from 'zod';
import {BenchError} from '../../contract/errors.ts';
import {environmentPython} from '../../device/python.ts';
import {acquireLock} from '../../weights/cache-lock.ts';
import {BuildLog} from './build-step.ts';
import {
  compileKernels,
  extraProblem,
  installExtra,
  installPackages,
  OWN_ENVIRONMENT,
  type PythonPlace,
  type TorchBuild,
  takeOutDamaged,
  tryVerify,
  type Verified,
  versionOf,
} from './python-packages.ts';
import {basePython, findInstaller} from './python-tools.ts';

export interface PythonSetup {
  readonly cacheDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly build: TorchBuild;
  /** Installs gptqmodel and optimum, too; a failure of these is told and no error. */
  readonly gptqmodel: boolean;
  /** The Python to make the environment from; null = the first on PATH that fits. */
  readonly python: string | null;
  /** runners/transformers: requirements and the programs that verify and mend. */
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

/** The first thing written, when the environment has its installer: without it even that is half made. */
const CREATED = 'bench-created';
/** The last thing written: an environment without it is half made. */
const MARKER = 'bench-environment.json';
const MarkerSchema = z.object({
  build: z.enum(['cpu', 'cuda']),
  gptqmodel: z.boolean(),
  /** SHA-256 of the requirements it was made from. */
  requirements: z.string(),
});
type Marker = z.infer<typeof MarkerSchema>;

/**
 * Makes the environment in `<cache>/python`, mends a half-made or damaged one, or finds that it is whole. One process at
 * a time; what a killed one leaves is taken up.
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
  let keep = await isKept(setup, folder, present);
  if (keep && present !== null && covers(present, wanted)) {
    onStep('an environment is there: verifying it by a forward pass');
    const verified = await verifyWhole(setup, executable);
    if (verified !== null) return {executable, reused: true, ...verified, gptqmodelProblem: null};
    onStep('it does not work any more: mending it');
  } else if (keep) {
    onStep(
      present === null
        ? 'a half-made environment is there: mending it'
        : 'the environment is of another kind: changing it',
    );
  }

  if (keep) await writeFile(join(folder, CREATED), '');
  await rm(join(folder, MARKER), {force: true});
  const place: PythonPlace = {
    ...setup,
    executable,
    installer: await findInstaller(setup.env),
    log: new BuildLog(join(cacheDir, 'python-setup.log'), setup.signal),
  };
  const anew = async (): Promise<Verified | string> => {
    await makeFolder(place, setup.python, folder);
    await installPackages(place, build);
    onStep('verifying by a forward pass');
    return tryVerify(place);
  };
  keep &&= await takeOutDamaged(place, build);
  let verified: Verified | string = 'it cannot be mended';
  if (keep) {
    await installPackages(place, build);
    onStep('verifying by a forward pass');
    verified = await tryVerify(place);
    if (typeof verified === 'string') onStep(`${verified}: making it anew`);
  }
  if (typeof verified === 'string') verified = await anew();
  let gptqmodelProblem: string | null = null;
  if (gptqmodel && typeof verified !== 'string') {
    onStep('installing the extra: gptqmodel and optimum (about 100 MB; gptqmodel is built here)');
    gptqmodelProblem = await installExtra(place);
    // The extra may have failed half-way: the rest must still work.
    verified = await tryVerify(place);
    if (typeof verified === 'string') {
      gptqmodelProblem = `it breaks the rest (${verified}) and is taken out again`;
      onStep(gptqmodelProblem);
      verified = await anew();
    }
  }
  const hasKernels = gptqmodel && gptqmodelProblem === null;
  if (hasKernels && typeof verified !== 'string' && verified.devices.includes('cuda')) await compileKernels(place);
  if (typeof verified === 'string') throw new BenchError('SETUP_FAILED', verified);
  await writeMarker(folder, {...wanted, gptqmodel: hasKernels});
  return {executable, reused: false, ...verified, gptqmodelProblem};
}

/** Whether there is an environment worth mending, made from the Python that is asked for. */
async function isKept({python, env, onStep}: PythonSetup, folder: string, present: Marker | null): Promise<boolean> {
  if (!existsSync(folder)) return false;
  if (present === null && !existsSync(join(folder, CREATED))) {
    onStep('an environment is there that was never whole: making it anew');
    return false;
  }
  if (python === null) return true;
  const {version} = await basePython(python, env);
  const own = await versionOf(environmentPython(folder));
  if (own === version) return true;
  onStep(`the environment has Python ${own ?? 'no more'}, and not ${version}: making it anew`);
  return false;
}

/** The CUDA build runs on a CPU, too, and gptqmodel does not hurt who did not ask for it. */
function covers(present: Marker, wanted: Marker): boolean {
  return (
    present.requirements === wanted.requirements &&
    (present.build === wanted.build || wanted.build === 'cpu') &&
    (present.gptqmodel || !wanted.gptqmodel)
  );
}

/** null when anything that was asked for does not work. */
async function verifyWhole({runnerDir, signal, gptqmodel}: PythonSetup, executable: string): Promise<Verified | null> {
  const verified = await tryVerify({executable, runnerDir, signal});
  if (typeof verified === 'string') return null;
  return gptqmodel && (await extraProblem({executable, runnerDir, signal})) !== null ? null : verified;
}

async function makeFolder(place: PythonPlace, python: string | null, folder: string): Promise<void> {
  const {installer, log, cacheDir, env, onStep} = place;
  const base = await basePython(python, env);
  onStep(`making a virtual environment with ${base.path} (Python ${base.version}) and ${installer.name}`);
  await rm(folder, {recursive: true, force: true});
  const [program, args] = installer.create(base.path, folder);
  await log.run('making a virtual environment', program, args, cacheDir, OWN_ENVIRONMENT).catch((error: unknown) => {
    if (!(error instanceof BenchError) || error.code !== 'SETUP_FAILED' || installer.name === 'uv') throw error;
    throw new BenchError(
      'SETUP_FAILED',
      `${error.message}; on Debian: sudo apt-get install python3-venv, or install uv`,
      {cause: error},
    );
  });
  await writeFile(join(folder, CREATED), '');
}

async function requirementsHash(runnerDir: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of ['base', 'torch-cpu', 'torch-cuda', 'torch-linked', 'gptqmodel']) {
    hash.update(await readFile(join(runnerDir, `requirements-${name}.txt`)));
  }
  return hash.digest('hex');
}

async function readMarker(folder: string): Promise<Marker | null> {
  const text = await readFile(join(folder, MARKER), 'utf8').catch(() => 'null');
  try {
    return MarkerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Durable before it is visible: a marker means that all the rest is there. */
async function writeMarker(folder: string, marker: Marker): Promise<void> {
  const draft = join(folder, `.${MARKER}`);
  await writeFile(draft, `${JSON.stringify(marker)}\n`, {flush: true});
  await rename(draft, join(folder, MARKER));
}
