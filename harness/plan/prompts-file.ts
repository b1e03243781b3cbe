import {createHash} from 'node:crypto';
import {readFile, stat} from 'node:fs/promises';
import {z} from 'zod';

/** One line of a prompts file. */
export const PromptSchema = z.strictObject({
  id: z.string().min(1),
  language: z.string().min(1),
  prompt: z.string().min(1),
  answer: z.string().min(1),
});
export type Prompt = z.infer<typeof PromptSchema>;

export interface PromptsFile {
  readonly sha256: string;
  readonly count: number;
  /** UTF-8 bytes of the longest prompt: no tokenizer with byte fallback makes more tokens of it. */
  readonly longestPromptBytes: number;
}

const MOST_BYTES = 32 * 1024 * 1024;

/** What the plan must know of a prompts file; or one line that says what is wrong with it. */
export async function readPromptsFile(path: string, shown: string): Promise<PromptsFile | {readonly problem: string}> {
  let bytes: Buffer;
  try {
    const {size} = await stat(path);
    if (size > MOST_BYTES) return {problem: `${shown} is larger than ${MOST_BYTES / 2 ** 20} MiB`};
    bytes = await readFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'cannot be read';
    return {problem: code === 'ENOENT' ? `${shown} does not exist` : `${shown} cannot be read (${code})`};
  }
  const seen = new Set<string>();
  let longestPromptBytes = 0;
  for (const [index, line] of bytes.toString('utf8').split('\n').entries()) {
    if (line.trim() === '') continue;
    const prompt = parseLine(line);
    if ('problem' in prompt) return {problem: `${shown}:${index + 1}: ${prompt.problem}`};
    if (seen.has(prompt.id)) return {problem: `${shown}:${index + 1}: id "${prompt.id}" appears twice`};
    seen.add(prompt.id);
    longestPromptBytes = Math.max(longestPromptBytes, Buffer.byteLength(prompt.prompt));
  }
  if (seen.size === 0) return {problem: `${shown} holds no prompt`};
  return {sha256: createHash('sha256').update(bytes).digest('hex'), count: seen.size, longestPromptBytes};
}

function parseLine(line: string): Prompt | {readonly problem: string} {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch {
    return {problem: 'is no JSON; each line is {"id", "language", "prompt", "answer"}'};
  }
  if (typeof data !== 'object') return {problem: 'is no JSON object'};
  const parsed = PromptSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys') return {problem: `"${issue.keys[0]}" is no key of a prompt`};
  return {problem: `"${issue?.path.join('.') ?? ''}" must be a text that is not empty`};
}
