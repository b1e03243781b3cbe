import {z} from 'zod';

const LineSchema = z.object({kernel: z.string(), seconds: z.number(), problem: z.string().nullable()});

/**
 * What compile_kernels.py printed, by kernel: the seconds that a cell is still going to spend with it. None where it is
 * compiled; as many as before where it failed, for the cell tries again. A kernel that was not reached is missing, and a
 * line that was cut short when the program was stopped counts for nothing.
 */
export function readCompiled(text: string): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const answer = LineSchema.safeParse(parse(line));
    if (answer.success) found[answer.data.kernel] = answer.data.problem === null ? 0 : answer.data.seconds;
  }
  return found;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
