import {execa} from 'execa';
import {z} from 'zod';

const RowSchema = z.array(z.object({n_prompt: z.int(), n_gen: z.int(), samples_ts: z.array(z.number())}));

export interface LlamaBenchRun {
  readonly program: string;
  readonly model: string;
  readonly threads: number;
  readonly prompt: number;
  readonly generate: number;
  readonly repetitions: number;
}

/**
 * llama.cpp's own measuring loop on the same file with the same settings.
 *
 * @returns tokens/s of each repetition, prompt processing and generation apart.
 */
export async function llamaBench(
  run: LlamaBenchRun,
): Promise<{readonly pp: readonly number[]; readonly tg: readonly number[]}> {
  const {stdout} = await execa(run.program, [
    ...['-m', run.model, '-t', String(run.threads), '-p', String(run.prompt), '-n', String(run.generate)],
    ...['-r', String(run.repetitions), '-b', '2048', '-ub', '512', '-fa', '0', '-ngl', '0', '-o', 'json'],
  ]);
  const rows = RowSchema.parse(JSON.parse(stdout));
  const samples = (pick: (row: z.infer<typeof RowSchema>[number]) => boolean) =>
    rows.filter(pick).flatMap((row) => row.samples_ts);
  return {pp: samples((row) => row.n_gen === 0), tg: samples((row) => row.n_prompt === 0)};
}
