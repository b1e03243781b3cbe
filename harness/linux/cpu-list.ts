/** More CPUs than any kernel is built for: a list that claims more is not a CPU list. */
const MAX_CPU = 8192;

/** `0-3,8` as numbers, ascending; parts that are not numbers or ranges are left out. */
export function parseCpuList(text: string): readonly number[] {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    if (match === null) continue;
    const first = Number(match[1]);
    const last = Math.min(Number(match[2] ?? match[1]), MAX_CPU);
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}
