import {execFileSync} from 'node:child_process';
import {existsSync, readdirSync} from 'node:fs';
import {homedir} from 'node:os';
import {join} from 'node:path';

/** What some tests need beyond `npm ci`, how it is found, and how to get it. */
const TOOLS = {
  /** A Python with PyTorch and transformers, for the transformers runner. */
  python: {
    find: torchPython,
    get: 'run `npx bench setup python --cpu`, or set BENCH_PYTHON to a Python that has torch and transformers',
  },
  /** Any Python 3.10 or newer, for the protocol. */
  python3: {find: () => onPath('python3'), get: 'install python3'},
  /** The other installer that `bench setup python` knows. */
  uv: {
    find: () => onPath('uv') ?? existing(join(cacheFolder(), 'uv', 'bin', 'uv')),
    get: 'run `python3 -m venv ~/.cache/bench/uv && ~/.cache/bench/uv/bin/python -m pip install uv`',
  },
  chromium: {
    find: () => onPath('chromium') ?? onPath('chromium-browser') ?? onPath('google-chrome'),
    get: 'install the package chromium',
  },
  slurm: {
    find: () => onPath('slurmctld') ?? existing('/usr/sbin/slurmctld'),
    get: 'install the packages slurmctld slurmd slurm-client',
  },
  parallel: {find: () => onPath('parallel'), get: 'install the package parallel (GNU parallel)'},
  /** Started by the client over a pipe: no port, no daemon. */
  sshd: {
    find: () => (onPath('ssh') === null ? null : (onPath('sshd') ?? existing('/usr/sbin/sshd'))),
    get: 'install the package openssh-server',
  },
  /** A Python with SkyPilot, whose own reader of task files checks ours. */
  skypilot: {
    find: () => existing(join(cacheFolder(), 'skypilot', 'bin', 'python')),
    get: 'run `python3 -m venv ~/.cache/bench/skypilot && ~/.cache/bench/skypilot/bin/python -m pip install -r test/engines/skypilot-requirements.txt`',
  },
  /** llama-server, for the runner of servers: any, or the one that the self-benchmark builds. */
  'llama-server': {
    find: llamaServer,
    get: 'run `npm run bench:self -- server`, which builds it, or set BENCH_LLAMA_SERVER to a llama-server',
  },
  cmake: {find: () => onPath('cmake'), get: 'install the packages cmake g++ git'},
  gpu: {find: () => onPath('nvidia-smi'), get: 'run on a host with an NVIDIA GPU'},
} as const satisfies Record<string, {find: () => string | null; get: string}>;

export type Tool = keyof typeof TOOLS;

/** In CI, BENCH_TEST_REQUIRE lists the tools whose absence is a failure and no reason to skip. */
export function isRequired(tool: Tool): boolean {
  return (process.env['BENCH_TEST_REQUIRE'] ?? '').split(/\s+/).includes(tool);
}

/**
 * Path of a tool, or null with one printed line that says how to get it.
 *
 * @throws When the tool is required here.
 */
export function find(tool: Tool): string | null {
  const {find: look, get} = TOOLS[tool];
  const path = look();
  if (path !== null) return path;
  if (isRequired(tool)) throw new Error(`${tool} is required here and missing: ${get}`);
  process.stderr.write(`skipping tests that need ${tool}: ${get}\n`);
  return null;
}

function onPath(program: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    if (folder !== '' && existsSync(join(folder, program))) return join(folder, program);
  }
  return null;
}

function existing(path: string): string | null {
  return existsSync(path) ? path : null;
}

function cacheFolder(): string {
  return process.env['BENCH_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'bench');
}

function llamaServer(): string | null {
  const own = process.env['BENCH_LLAMA_SERVER'];
  if (own !== undefined && existsSync(own)) return own;
  const builds = join(cacheFolder(), 'llama-cpp');
  const built = existsSync(builds)
    ? readdirSync(builds).filter((name) => name.startsWith('llama-server-shipped-'))
    : [];
  const programs = built.map((name) => join(builds, name, 'llama-server')).filter((path) => existsSync(path));
  return programs[0] ?? onPath('llama-server');
}

function torchPython(): string | null {
  const cache = cacheFolder();
  for (const candidate of [
    process.env['BENCH_PYTHON'],
    join(cache, 'python', 'bin', 'python'),
    join(cache, 'python', 'venv', 'bin', 'python'),
  ]) {
    if (candidate === undefined || !existsSync(candidate)) continue;
    try {
      execFileSync(
        candidate,
        ['-c', 'import importlib.util as u, sys; sys.exit(not (u.find_spec("torch") and u.find_spec("transformers")))'],
        {stdio: 'ignore'},
      );
      return candidate;
    } catch {
      // no torch in this one
    }
  }
  return null;
}
