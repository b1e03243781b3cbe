import type {ReportInput} from '../../harness/contract/reporter.ts';

/** The same data in another order: of runs, rows, requests and devices. */
export function shuffledInput(input: ReportInput): ReportInput {
  // A stride that shares no divisor with the length visits every index once.
  const shuffled = <T>(list: readonly T[]): T[] => {
    const stride = [7, 11, 13].find((one) => list.length % one !== 0) ?? 1;
    return list.flatMap((_, index) => list[(index * stride + 3) % list.length] ?? []);
  };
  return {
    ...input,
    runs: shuffled(input.runs),
    rows: shuffled(input.rows),
    requests: shuffled(input.requests),
    ...(input.devices === undefined ? {} : {devices: shuffled(input.devices)}),
    ...(input.attributions === undefined ? {} : {attributions: shuffled(input.attributions)}),
  };
}
