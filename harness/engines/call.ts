import {execa} from 'execa';
import {BenchError} from '../contract/errors.ts';

export interface CallResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls a program of an engine; passed in, so that tests can answer for it. */
export type Call = (program: string, args: readonly string[], input?: string) => Promise<CallResult>;

const SLOWEST_MS = 120_000;

/** Slurm shortens what is pending of an array to 64 characters otherwise: what it left out would be submitted again. */
const ENVIRONMENT = {SLURM_BITSTR_LEN: '0'};

/** @throws {BenchError} `ENGINE_UNAVAILABLE` when the program is not on this machine, or does not answer. */
export const callProgram: Call = async (program, args, input) => {
  const result = await execa(program, [...args], {
    ...(input === undefined ? {stdin: 'ignore'} : {input}),
    env: ENVIRONMENT,
    reject: false,
    timeout: SLOWEST_MS,
    maxBuffer: 256 * 1024 * 1024,
  });
  if (result.exitCode === undefined) {
    const why = result.code === 'ENOENT' ? 'is not on this machine' : `did not answer: ${result.shortMessage ?? ''}`;
    throw new BenchError('ENGINE_UNAVAILABLE', `${program} ${why}`);
  }
  return {status: result.exitCode, stdout: result.stdout, stderr: result.stderr};
};

/** The last line that says something. */
export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}
