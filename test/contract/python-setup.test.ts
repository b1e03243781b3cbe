import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {delimiter, dirname, join} from 'node:path';
import type {Readable} from 'node:stream';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {z} from 'zod';
import {find} from '../support/needs.ts';
import {makeWheels, type PackageIndex, servePackages, type Wheel, wheelFile} from '../support/wheelhouse.ts';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const python = find('python3') ?? '';
const uv = find('uv') ?? '';
const SLOW_MS = 240_000;

const TORCH_CPU: Wheel = {name: 'torch', version: '2.14.1+cpu'};
const TORCH: Wheel = {name: 'torch', version: '2.14.1', says: '2.14.1+cu130', exactly: true};
const TRITON: Wheel = {name: 'triton', version: '3.8.0'};
const TRANSFORMERS: Wheel = {name: 'transformers', version: '5.17.0'};
const ACCELERATE: Wheel = {name: 'accelerate', version: '1.15.0'};
const SAFETENSORS: Wheel = {name: 'safetensors', version: '0.8.0'};
const GPTQMODEL: Wheel = {name: 'gptqmodel', version: '7.6.0'};
const OPTIMUM: Wheel = {name: 'optimum', version: '2.3.0'};
const REQUIREMENTS = {
  base: [TRANSFORMERS, ACCELERATE, SAFETENSORS],
  'torch-cpu': [TORCH_CPU],
  'torch-linked': [TORCH],
  'torch-cuda': [TORCH, TRITON],
  gptqmodel: [OPTIMUM, GPTQMODEL],
} as const;

/** Small packages stand in for the real ones; the installer, the index and everything of ours are real. */
const VERIFY = `
import json, os, accelerate, safetensors, torch, transformers, torch.part, transformers.part
devices = ["cpu", *(["cuda"] if "BENCH_TEST_GPU" in os.environ else [])]
print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__, "devices": devices}))
`;
const COMPILE = `
import gptqmodel
print("a banner")
print('{"kernel": "exllama-v2", "seconds": 34.6, "problem": null}')
print('{"kernel": "machete", "seconds": 0.1, "problem": "needs compute capability 9.0 exactly"}')
`;
const PROBE = `
import json
try:
    import gptqmodel, gptqmodel.part, optimum
    verdict = True
except ImportError as error:
    verdict = f"gptqmodel cannot be imported: {error}"
print(json.dumps({"kernels": {"torch": verdict}}))
`;

const MadeSchema = z.object({
  reused: z.boolean(),
  torch: z.string(),
  gptqmodelProblem: z.string().nullable(),
});
const FailedSchema = z.object({code: z.string(), message: z.string()});

const canMakeEnvironments = ((): boolean => {
  try {
    execFileSync(python, ['-c', 'import venv, ensurepip'], {stdio: 'ignore'});
    return process.platform === 'linux' && process.arch === 'x64';
  } catch {
    process.stderr.write('skipping tests of `bench setup python`: install python3-venv (Linux x86-64)\n');
    return false;
  }
})();

describe.skipIf(!canMakeEnvironments)('bench setup python', () => {
  let folder: string;
  let index: PackageIndex;
  /** Wheels that no index lists. */
  const hidden = new Set<string>();
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bench-setup-'));
    const wheels = join(folder, 'wheels');
    const runner = join(folder, 'runner');
    for (const path of [wheels, runner]) mkdirSync(path);
    const lines = makeWheels(python, wheels, Object.values(REQUIREMENTS).flat());
    for (const [name, list] of Object.entries(REQUIREMENTS)) {
      writeFileSync(join(runner, `requirements-${name}.txt`), list.map((one) => lines.get(wheelFile(one))).join(''));
    }
    writeFileSync(join(runner, 'verify.py'), VERIFY);
    writeFileSync(join(runner, 'probe.py'), PROBE);
    writeFileSync(join(runner, 'compile_kernels.py'), COMPILE);
    copyFileSync(file('../../runners/transformers/mend.py'), join(runner, 'mend.py'));
    index = await servePackages(
      wheels,
      (name, wheel) => !hidden.has(wheel) && (name === 'cpu') === wheel.includes('+cpu'),
    );
  }, SLOW_MS);
  afterAll(async () => {
    await index.close();
    rmSync(folder, {recursive: true, force: true});
  });

  interface Asked {
    readonly cache?: string;
    readonly build?: 'cpu' | 'cuda';
    readonly gptqmodel?: boolean;
    readonly cpuIndex?: boolean;
    readonly gpu?: boolean;
    readonly installer?: 'pip' | 'uv';
  }
  function start(asked: Asked): ChildProcess {
    const {cache = 'cache', build = 'cpu', gptqmodel = false, cpuIndex = true, gpu, installer = 'pip'} = asked;
    const options = {cacheDir: join(folder, cache), runnerDir: join(folder, 'runner'), build, gptqmodel};
    const {PIP_EXTRA_INDEX_URL: _, ...env} = process.env;
    const path = (env['PATH'] ?? '').split(delimiter);
    return spawn(
      process.execPath,
      ['--import', 'tsx', file('../fixtures/python/setup-child.ts'), JSON.stringify(options)],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...env,
          // uv is taken wherever it is found.
          PATH: (installer === 'uv' ? [dirname(uv), ...path] : path.filter((one) => !existsSync(join(one, 'uv')))).join(
            delimiter,
          ),
          UV_NO_CACHE: '1',
          UV_PYTHON_DOWNLOADS: 'never',
          PIP_CONFIG_FILE: '/dev/null',
          PIP_INDEX_URL: index.url('main'),
          PIP_NO_CACHE_DIR: '1',
          PIP_RETRIES: '0',
          PIP_FIND_LINKS: '',
          // A person's own settings, which would put packages elsewhere.
          PIP_USER: '1',
          NO_PROXY: '127.0.0.1',
          no_proxy: '127.0.0.1',
          ...(cpuIndex ? {PIP_EXTRA_INDEX_URL: index.url('cpu')} : {}),
          ...(gpu === true ? {BENCH_TEST_GPU: '1'} : {}),
        },
      },
    );
  }
  async function setup(asked: Asked = {}) {
    const child = start(asked);
    const [stdout, steps] = await Promise.all([read(child.stdout), read(child.stderr)]);
    const answer: unknown = JSON.parse(stdout || 'null');
    const made = MadeSchema.safeParse(answer);
    return {made: made.success ? made.data : null, failed: FailedSchema.safeParse(answer).data ?? null, steps};
  }
  const environment = (cache = 'cache') => join(folder, cache, 'python');
  function sitePackages(cache = 'cache'): string {
    const lib = join(environment(cache), 'lib');
    return join(lib, readdirSync(lib)[0] ?? '', 'site-packages');
  }

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'that gets %s while a package comes leaves no installer behind',
    async (signal) => {
      const before = index.stalls;
      index.stall = wheelFile(TRANSFORMERS);
      const child = start({});
      const said = read(child.stdout);
      await expect.poll(() => index.stalls, {timeout: SLOW_MS}).toBeGreaterThan(before);
      child.kill(signal);
      await new Promise((resolve) => child.once('exit', resolve));
      index.stall = null;
      await expect.poll(() => processesOf(join(folder, 'cache')), {timeout: 20_000}).toEqual([]);
      if (signal === 'SIGINT') expect(JSON.parse(await said)).toMatchObject({code: 'INTERRUPTED'});
      expect(existsSync(join(environment(), 'bench-environment.json'))).toBe(false);
    },
    SLOW_MS,
  );

  it(
    'takes up what a killed one left, and takes the CPU build from the index that has it',
    async () => {
      const {made, steps} = await setup();
      expect(made, steps).toMatchObject({reused: false, torch: '2.14.1+cpu'});
      expect(steps).toContain('a half-made environment is there: mending it');
      expect(steps).not.toContain('making a virtual environment');
    },
    SLOW_MS,
  );

  it(
    'is repeatable: what is whole is only verified',
    async () => {
      const {made, steps} = await setup();
      expect(made).toMatchObject({reused: true, torch: '2.14.1+cpu', gptqmodelProblem: null});
      expect(steps).not.toContain('installing');
    },
    SLOW_MS,
  );

  it(
    'puts back files that were deleted, cut short or overwritten, and a package whose installer was killed',
    async () => {
      const site = sitePackages();
      const parts = ['transformers', 'torch', 'safetensors', 'accelerate'].map((name) => join(site, name, 'part.py'));
      const whole = parts.map((path) => readFileSync(path, 'utf8'));
      const [deleted = '', cut = '', other = ''] = parts;
      rmSync(deleted);
      truncateSync(cut, 100);
      writeFileSync(other, 'x'.repeat(readFileSync(other).length));
      rmSync(join(site, 'accelerate-1.15.0.dist-info', 'RECORD'));
      mkdirSync(join(site, '~ransformers'));
      const {made, steps} = await setup();
      expect(made, steps).toMatchObject({reused: false, torch: '2.14.1+cpu'});
      expect(steps).toContain('it does not work any more: mending it');
      expect(steps).toContain(
        'damaged or of another build: accelerate 1.15.0, safetensors 0.8.0, torch 2.14.1+cpu, transformers 5.17.0',
      );
      expect(parts.map((path) => readFileSync(path, 'utf8'))).toEqual(whole);
      expect(existsSync(join(site, '~ransformers'))).toBe(false);
    },
    SLOW_MS,
  );

  it(
    'goes without the extra where that cannot be had, and has it when it can',
    async () => {
      hidden.add(wheelFile(GPTQMODEL));
      const without = await setup({gptqmodel: true});
      expect(without.made, without.steps).toMatchObject({reused: false, torch: '2.14.1+cpu'});
      expect(without.made?.gptqmodelProblem).toMatch(/^installing gptqmodel failed: ERROR: .*gptqmodel==7\.6\.0/);
      expect((await setup()).made).toMatchObject({reused: true});
      hidden.clear();
      expect((await setup({gptqmodel: true})).made).toMatchObject({reused: false, gptqmodelProblem: null});
      expect((await setup({gptqmodel: true})).made).toMatchObject({reused: true, gptqmodelProblem: null});
      writeFileSync(join(sitePackages(), 'gptqmodel', '__init__.py'), 'raise ImportError("broken")\n');
      expect((await setup({gptqmodel: true})).made).toMatchObject({reused: false, gptqmodelProblem: null});
    },
    SLOW_MS,
  );

  it(
    'puts the CUDA build in the place of the CPU build, which an installer takes for the same',
    async () => {
      const {made, failed, steps} = await setup({build: 'cuda'});
      expect(made, failed?.message ?? steps).toMatchObject({reused: false, torch: '2.14.1+cu130'});
      expect(steps).toContain('the environment is of another kind: changing it');
      expect(existsSync(join(sitePackages(), 'triton'))).toBe(true);
      expect(steps).not.toContain('compil');
      expect((await setup({build: 'cpu'})).made).toMatchObject({reused: true, torch: '2.14.1+cu130'});
    },
    SLOW_MS,
  );

  it(
    'compiles the kernels of gptqmodel where there is a GPU, and tells each that cannot be compiled',
    async () => {
      const {made, steps} = await setup({build: 'cuda', gptqmodel: true, gpu: true});
      expect(made, steps).toMatchObject({reused: false, gptqmodelProblem: null});
      expect(steps).toContain('exllama-v2: compiled (35 s)\nmachete: needs compute capability 9.0 exactly\n');
      expect(steps).not.toContain('banner');
      // What breaks here breaks nothing else: cells compile what they need.
      rmSync(join(environment(), 'bench-environment.json'));
      writeFileSync(join(folder, 'runner', 'compile_kernels.py'), 'raise SystemExit("error: no space for objects")\n');
      const broken = await setup({build: 'cuda', gptqmodel: true, gpu: true});
      expect(broken.made, broken.steps).toMatchObject({reused: false, gptqmodelProblem: null});
      expect(broken.steps).toMatch(
        /compiling kernels failed: error: no space for objects \(log: .*\): cells compile them when they begin/,
      );
    },
    SLOW_MS,
  );

  it(
    'takes the build with CUDA where no index has the CPU build, and makes it anew when its installer is damaged',
    async () => {
      const asked = {cache: 'linked', cpuIndex: false} as const;
      const {made, steps} = await setup(asked);
      expect(made, steps).toMatchObject({reused: false, torch: '2.14.1+cu130'});
      // What it costs and how to avoid it is said before it is downloaded.
      expect(steps).toMatch(
        /no configured package index has the CPU build of PyTorch for this Python\n.*CUDA build.*2\.40 GiB.*PIP_EXTRA_INDEX_URL.*\ninstalling PyTorch with/,
      );
      rmSync(join(environment('linked'), 'bench-environment.json'));
      appendFileSync(join(sitePackages('linked'), 'pip', '_internal', 'cli', 'parser.py'), '# damaged\n');
      const again = await setup(asked);
      expect(again.made, again.steps).toMatchObject({reused: false});
      expect(again.steps).toContain('a half-made environment is there: mending it');
      expect(again.steps).toContain('making a virtual environment');
    },
    SLOW_MS,
  );

  it.skipIf(uv === '')(
    'works with uv as with pip: takes each build from the index that has it, mends, and says what comes instead',
    async () => {
      const asked = {cache: 'uv', installer: 'uv'} as const;
      const cpu = await setup(asked);
      expect(cpu.made, cpu.failed?.message ?? cpu.steps).toMatchObject({reused: false, torch: '2.14.1+cpu'});
      expect(cpu.steps).toMatch(/making a virtual environment with .* and uv\n/);
      expect((await setup(asked)).made).toMatchObject({reused: true, torch: '2.14.1+cpu'});
      truncateSync(join(sitePackages('uv'), 'transformers', 'part.py'), 100);
      const mended = await setup(asked);
      expect(mended.made, mended.failed?.message ?? mended.steps).toMatchObject({reused: false});
      expect(mended.steps).toContain('damaged or of another build: transformers 5.17.0');
      // The index of CPU builds is still configured, and has the same version with a local part.
      const cuda = await setup({...asked, build: 'cuda'});
      expect(cuda.made, cuda.failed?.message ?? cuda.steps).toMatchObject({reused: false, torch: '2.14.1+cu130'});
      const linked = await setup({cache: 'uv-linked', installer: 'uv', cpuIndex: false});
      expect(linked.made, linked.failed?.message ?? linked.steps).toMatchObject({torch: '2.14.1+cu130'});
      expect(linked.steps).toContain('no configured package index has the CPU build');
    },
    SLOW_MS,
  );

  it(
    'says in one line why nothing can be installed',
    async () => {
      for (const one of REQUIREMENTS.base) hidden.add(wheelFile(one));
      rmSync(join(environment(), 'bench-environment.json'));
      rmSync(join(sitePackages(), 'transformers', 'part.py'));
      const {failed} = await setup({build: 'cuda'});
      hidden.clear();
      expect(failed).toMatchObject({code: 'SETUP_FAILED'});
      expect(failed?.message).toMatch(
        /^installing transformers failed: ERROR: .*transformers==5\.17\.0.* \(log: .*python-setup\.log\)$/,
      );
      expect(failed?.message).not.toContain('\n');
    },
    SLOW_MS,
  );
});

const read = async (stream: Readable | null): Promise<string> => (stream === null ? '' : await text(stream));

/** Live processes whose command line names a folder, as the installer's does. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  });
}
