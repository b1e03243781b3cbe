import {readFileSync} from 'node:fs';
import {isDeepStrictEqual} from 'node:util';
import {z} from 'zod';
import {BenchError} from '../../harness/contract/errors.ts';

const PromptSchema = z.object({
  id: z.union([z.string(), z.number()]),
  language: z.string().optional(),
  prompt: z.string().min(1),
  /** Expected text, or a JSON value; absent when nothing is judged. */
  answer: z.json().optional(),
});
export type Prompt = z.infer<typeof PromptSchema>;

/** @throws {BenchError} FILE_UNREADABLE, MATRIX_INVALID with file and line. */
export function readPromptsFile(path: string): Prompt[] {
  const text = readText(path);
  const prompts = text
    .split('\n')
    .map((line, index) => ({line: line.trim(), number: index + 1}))
    .filter(({line}) => line !== '')
    .map(({line, number}) => parsePrompt(line, `${path}:${number}`));
  if (prompts.length === 0) throw new BenchError('MATRIX_INVALID', `${path}:1: the prompts file is empty`);
  return prompts;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
    throw new BenchError('FILE_UNREADABLE', `prompts file ${path} cannot be read: ${reason}`, {cause: error});
  }
}

function parsePrompt(line: string, place: string): Prompt {
  const parsed = PromptSchema.safeParse(parseJson(line));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new BenchError('MATRIX_INVALID', `${place}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`, {
    cause: parsed.error,
  });
}

/**
 * The prompt of request `index` of a round. Rounds take turns, so that together they cover the file before any prompt
 * comes twice, and each format sees the same prompts.
 */
export function promptAt(prompts: readonly Prompt[], index: number, round: number, rounds: number): Prompt | undefined {
  return prompts[(index * rounds + round) % prompts.length];
}

/** Equal but for blanks around; answers that are JSON are compared as JSON, so that key order and spaces do not count. */
export function isCorrect(text: string, answer: unknown): boolean {
  const given = text.trim();
  if (typeof answer === 'string' && given === answer.trim()) return true;
  const expected = typeof answer === 'string' ? parseJson(answer) : answer;
  if (expected === undefined) return false;
  const value = parseJson(given);
  return value !== undefined && isDeepStrictEqual(value, expected);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
