import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const SOURCE = fileURLToPath(new URL('../fixtures/nvml-stub/nvml-stub.c', import.meta.url));

/** A compiler, or null with one line that says how to get it. */
export function findCompiler(): string | null {
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  for (const name of ['cc', 'gcc', 'clang']) {
    const folder = folders.find((one) => existsSync(join(one, name)));
    if (folder !== undefined && process.platform === 'linux') return join(folder, name);
  }
  process.stderr.write('skipping tests that need a C compiler on Linux (for the NVML stub): install gcc\n');
  return null;
}

export interface NvmlStub {
  /** Environment in which libnvidia-ml.so.1 is the stub and plays this script. */
  env(script: string): NodeJS.ProcessEnv;
  readonly folder: string;
  remove(): void;
}

/**
 * Compiles the stub into a folder of its own. The format of scripts is told in the source of the stub.
 *
 * @param compiler From {@link findCompiler}; null is for describe.skipIf, whose hooks do not run.
 */
export function makeNvmlStub(compiler: string | null): NvmlStub {
  if (compiler === null) throw new Error('no compiler');
  const folder = mkdtempSync(join(tmpdir(), 'bench-nvml-'));
  const library = join(folder, 'libnvidia-ml.so.1');
  execFileSync(compiler, ['-std=gnu11', '-O1', '-shared', '-fPIC', '-o', library, SOURCE]);
  let scripts = 0;
  return {
    folder,
    env(script) {
      const path = join(folder, `script-${scripts++}.txt`);
      writeFileSync(path, script);
      return {...process.env, LD_LIBRARY_PATH: folder, BENCH_NVML_STUB: path};
    },
    remove: () => rmSync(folder, {recursive: true, force: true}),
  };
}

/** A Tesla T4 with nothing on it; lines added later win. */
export const T4_SCRIPT = `
0 * count 1
0 * driver 535.183.01
0 * cuda 12020
0 0 name Tesla T4
0 0 uuid GPU-11111111-2222-3333-4444-555555555555
0 0 pci 0x1EB810DE
0 0 total 16106127360
0 0 used 3145728
0 0 cap 75
0 0 persistence 1
0 0 ecc 1
0 0 eccdefault 1
0 0 powerlimit 70000
0 0 powerdefault 70000
0 0 maxsm 1590
0 0 maxmem 5001
0 0 slowdown 93
0 0 power 27500
0 0 energy 900000000
0 0 joules_per_s 27.5
0 0 sm 1590
0 0 mem 5000
0 0 temp 48
0 0 util 97
0 0 throttle 0
`;
