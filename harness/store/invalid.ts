import type {z} from 'zod';
import {BenchError} from '../contract/errors.ts';

/** `RESULTS_INVALID` for what a file holds at a place (`file` or `file:line`). */
export function invalid(place: string, message: string, cause?: unknown): BenchError {
  return new BenchError('RESULTS_INVALID', `${place}: ${message}`, {cause});
}

/** The first thing a schema found wrong, as `path: message` in one line. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'not valid';
  const path = issue.path.map(String).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
