import {open, readFile, rename, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {z} from 'zod';
import {FormatSchema} from '../contract/format.ts';

/** What is known of a model besides where it lies: a {@link import('../contract/weights.ts').ModelArtifact} without its path. */
const ModelFactsSchema = z.object({
  format: FormatSchema,
  weightsBytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  parameters: z.int().positive(),
  architectureName: z.string(),
  bitsPerWeight: z.number().positive(),
  bytesPerToken: z.int().positive(),
  kvBytesPerToken: z.int().nonnegative(),
  sourceText: z.string(),
  synthetic: z.boolean(),
});
export type ModelFacts = z.infer<typeof ModelFactsSchema>;

/** One file of an entry as it was when its hash was taken. Size and time decide whether it must be hashed again. */
const EntryFileSchema = z.object({
  /** Plain name inside the entry's folder. */
  name: z.string().regex(/^(?!\.)[^/\\\0]+$/),
  bytes: z.int().nonnegative(),
  modifiedMs: z.number(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type EntryFile = z.infer<typeof EntryFileSchema>;

/** entry.json: its presence beside the files it lists is what makes a folder of the cache an entry. */
const EntrySchema = z.object({
  schema: z.literal(1),
  key: z.object({
    source: z.string(),
    seed: z.int().nullable(),
    format: FormatSchema.nullable(),
    /** Version of what made it: other bytes, other entry. */
    generator: z.string(),
  }),
  createdAt: z.string(),
  /** The GGUF file's name; `.` when the folder itself is the model. */
  main: z.string().regex(/^(?:\.|(?!\.)[^/\\\0]+)$/),
  facts: ModelFactsSchema,
  files: z.array(EntryFileSchema).min(1),
});
export type Entry = z.infer<typeof EntrySchema>;
export type EntryKey = Entry['key'];

export const ENTRY_FILE = 'entry.json';

/** null when there is none, or none that can be understood. */
export async function readEntry(dir: string): Promise<Entry | null> {
  try {
    return EntrySchema.parse(JSON.parse(await readFile(join(dir, ENTRY_FILE), 'utf8')));
  } catch {
    return null;
  }
}

/** Durable before it is visible: written beside, flushed, renamed. */
export async function writeEntry(dir: string, entry: Entry): Promise<void> {
  const draft = join(dir, `.${ENTRY_FILE}.${process.pid}`);
  await writeFile(draft, `${JSON.stringify(entry, null, 1)}\n`, {flush: true});
  await rename(draft, join(dir, ENTRY_FILE));
  await flush(dir);
}

/** fsync of a file or folder, so that a rename that follows cannot become durable before the bytes it names. */
export async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
