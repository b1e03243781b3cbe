import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

/** nvidia-smi output of real machines, kept beside the checkout and not in it. */
const FOLDER = fileURLToPath(new URL('../../../shared/captures/', import.meta.url));

export interface Capture {
  readonly machine: string;
  /** Output by `idle :: query (-q)` and the like. */
  readonly sections: ReadonlyMap<string, string>;
}

/** Every capture; empty, with one printed line, when the folder is not there. */
export function captures(): readonly Capture[] {
  if (!existsSync(FOLDER)) {
    process.stderr.write(
      'skipping tests on nvidia-smi captures: put utkuozdemir/nvidia_gpu_exporter internal/captures/*.txt into ../shared/captures/\n',
    );
    return [];
  }
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => ({
      machine: name.replace(/\.txt$/, ''),
      sections: sectionsOf(readFileSync(join(FOLDER, name), 'utf8')),
    }));
}

export function sectionsOf(text: string): Map<string, string> {
  const sections = new Map<string, string>();
  const parts = text.split(/^#{80}\n# (.+ :: .+)\n(?:# .*\n)*#{80}\n/m);
  for (let index = 1; index < parts.length; index += 2)
    sections.set(parts[index] ?? '', (parts[index + 1] ?? '').trimEnd());
  return sections;
}

/** The first section whose title begins so. */
export function section(capture: Capture, title: string): string {
  for (const [name, text] of capture.sections) if (name.startsWith(title)) return text;
  throw new Error(`${capture.machine} has no section "${title}"`);
}
