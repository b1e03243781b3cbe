import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {dirname, relative} from 'node:path';
import {fileURLToPath} from 'node:url';
import {GENERATED_FILES} from './files.ts';

/** `npm run generate` writes the generated files; with `--check` it writes nothing and fails when one differs. */
const check = process.argv.includes('--check');
const root = new URL('../../', import.meta.url);
let differing = 0;

for (const {path, make} of GENERATED_FILES) {
  const file = fileURLToPath(new URL(path, root));
  const current = await readFile(file, 'utf8').catch(() => null);
  const made = await make(current);
  if (current === made) continue;
  differing++;
  if (!check) {
    await mkdir(dirname(file), {recursive: true});
    await writeFile(file, made);
  }
  process.stderr.write(`${relative(process.cwd(), file)}: ${check ? 'differs; run `npm run generate`' : 'written'}\n`);
}

process.exitCode = check && differing > 0 ? 1 : 0;
