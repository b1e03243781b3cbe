import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, statSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {z} from 'zod';

/**
 * A program: packs this Node and the packages that bench starts with into .device/kit.tgz, for a GPU host of the same
 * platform that has neither Node nor a network; test/device/run.sh unpacks it there. The engines of llama.cpp stay out:
 * with CUDA they have hundreds of megabytes. Where they are missing, cells of GGUF are refused with the reason.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LEFT_OUT = /^(?:node-llama-cpp|@node-llama-cpp\/.*)$/;
/** What no program reads at run time. */
const UNREAD = ['*.map', '*.d.ts', '*.d.cts', '*.d.mts', '*.md', '*.flow'];

const PackageSchema = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/** Folders of a package and of all that it needs, relative to the root; found as Node finds them. */
function closure(name: string, from: string, found: Set<string>): void {
  if (LEFT_OUT.test(name)) return;
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name);
    if (existsSync(join(ROOT, path, 'package.json'))) {
      if (found.has(path)) return;
      found.add(path);
      for (const needed of needs(join(ROOT, path))) closure(needed, path, found);
      return;
    }
    // Optional packages of other platforms are not there.
    if (folder === '.') return;
  }
}

function needs(folder: string): string[] {
  const {dependencies, optionalDependencies} = PackageSchema.parse(
    JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
  );
  return Object.keys({...dependencies, ...optionalDependencies});
}

const packages = new Set<string>();
for (const name of [...needs(ROOT), 'tsx']) closure(name, '.', packages);
// A package inside another one comes with it.
const folders = [...packages].filter((path) => ![...packages].some((other) => path.startsWith(`${other}/`)));

const kit = join(ROOT, '.device', 'kit.tgz');
mkdirSync(dirname(kit), {recursive: true});
execFileSync('tar', [
  '-czf',
  kit,
  `--transform=s,^${basename(process.execPath)}$,node,`,
  ...UNREAD.map((pattern) => `--exclude=${pattern}`),
  '-C',
  ROOT,
  ...folders.sort(),
  '-C',
  dirname(process.execPath),
  basename(process.execPath),
]);
process.stdout.write(
  `${kit}: Node ${process.version} for ${process.platform}-${process.arch} and ${folders.length} packages, ${(statSync(kit).size / 1e6).toFixed(0)} MB\n`,
);
