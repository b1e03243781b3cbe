import {execa} from 'execa';
import {BenchError} from '../../contract/errors.ts';
import {findProgram} from './build-tools.ts';

type Env = Readonly<Record<string, string | undefined>>;
type Call = readonly [program: string, args: readonly string[]];

/** What makes environments and fills them: uv where it is installed, else Python's own venv and pip. */
export interface Installer {
  readonly name: 'uv' | 'pip';
  create(base: string, folder: string): Call;
  install(executable: string, options: readonly string[]): Call;
  /** Succeeds when the environment can be installed into. */
  check(executable: string): Call;
}

export async function findInstaller(env: Env): Promise<Installer> {
  const uv = await findProgram(['uv'], env['PATH'] ?? '');
  return uv === null ? pip : uvInstaller(uv);
}

const uvInstaller = (uv: string): Installer => ({
  name: 'uv',
  create: (base, folder) => [uv, ['venv', '--no-project', '--python', base, folder]],
  install: (executable, options) => [uv, ['pip', 'install', '--python', executable, ...options]],
  check: (executable) => [executable, ['-c', 'import sys; sys.exit(sys.prefix == sys.base_prefix)']],
});

const pip: Installer = {
  name: 'pip',
  create: (base, folder) => [base, ['-m', 'venv', folder]],
  install: (executable, options) => [
    executable,
    ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off', ...options],
  ],
  check: (executable) => [executable, ['-m', 'pip', '--version']],
};

/** pip reads its own variables; uv does not, so a mirror that is configured for pip is handed on. */
export function indexOptions({name}: Installer, env: Env): readonly string[] {
  if (name === 'pip') return [];
  const options: string[] = [];
  const index = env['PIP_INDEX_URL'] ?? '';
  if (index !== '' && !env['UV_INDEX_URL'] && !env['UV_DEFAULT_INDEX']) options.push('--default-index', index);
  const more = (env['PIP_EXTRA_INDEX_URL'] ?? '').split(/\s+/).filter((url) => url !== '');
  if (!env['UV_EXTRA_INDEX_URL'] && !env['UV_INDEX']) for (const url of more) options.push('--index', url);
  // As pip does: a package may come from any index. Its hash is pinned, so that none can put another in its place.
  options.push('--index-strategy', 'unsafe-best-match');
  return options;
}

/** PyTorch and all pinned packages have wheels for these. */
const NAMES = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3.14', 'python'];
const OLDEST = [3, 10] as const;
const NEWEST = [3, 14] as const;

/** @throws {BenchError} SETUP_FAILED naming what was found instead. */
export async function basePython(asked: string | null, env: Env): Promise<{path: string; version: string}> {
  const found: string[] = [];
  for (const name of asked === null ? NAMES : [asked]) {
    const path = name.includes('/') ? name : await findProgram([name], env['PATH'] ?? '');
    if (path === null) continue;
    const {stdout, failed} = await execa(path, ['-c', 'import platform; print(platform.python_version())'], {
      reject: false,
      stdin: 'ignore',
    });
    const version = stdout?.trim() ?? '';
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (!failed && major === OLDEST[0] && minor >= OLDEST[1] && minor <= NEWEST[1]) return {path, version};
    found.push(failed ? `${path} (does not run)` : `${path} (${version})`);
  }
  const instead = found.length === 0 ? 'none was found' : `found: ${found.join(', ')}`;
  throw new BenchError(
    'SETUP_FAILED',
    `a Python from ${OLDEST.join('.')} to ${NEWEST.join('.')} is needed, ${instead}; name one with --python`,
  );
}
