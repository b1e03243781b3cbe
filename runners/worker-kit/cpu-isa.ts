import {readFileSync} from 'node:fs';
import type {Cell} from '../../harness/contract/cell.ts';

/** Instruction sets beyond the ones that the cap allows: a machine with one of them is wider than the cap. */
const BEYOND = {
  avx2: ['avx512f', 'avx_vnni', 'amx_int8'],
  avx512: ['avx512_vnni', 'avx512_bf16', 'avx512_fp16', 'avx512vbmi', 'amx_int8'],
} as const;

/** Instruction sets without which the capped code cannot run. */
const NEEDED = {
  avx2: ['avx2', 'fma', 'f16c', 'bmi2'],
  avx512: ['avx512f', 'avx512cd', 'avx512bw', 'avx512dq', 'avx512vl'],
} as const;

/** Whether the cap keeps a machine with these flags of /proc/cpuinfo from using all it has. */
export function isCapped(isa: Cell['isa'], flags: readonly string[]): boolean {
  return isa !== 'native' && BEYOND[isa].some((flag) => flags.includes(flag));
}

/** The flags that the machine lacks for the cap; empty when the cell can run. */
export function missingFlags(isa: Cell['isa'], flags: readonly string[]): readonly string[] {
  return isa === 'native' ? [] : NEEDED[isa].filter((flag) => !flags.includes(flag));
}

/** Flags of the first CPU; empty where there is no such file. */
export function readCpuFlags(path = '/proc/cpuinfo'): readonly string[] {
  try {
    return /^flags\s*:\s*(.*)$/m.exec(readFileSync(path, 'utf8'))?.[1]?.split(' ') ?? [];
  } catch {
    return [];
  }
}

/**
 * Name of an instruction set from the features that ggml's CPU code says it was compiled with: widest first, with the
 * extensions that matter to matrix products.
 */
export function isaName(features: ReadonlySet<string>): string {
  const withParts = (base: string, parts: readonly (readonly [feature: string, part: string])[]) =>
    [base, ...parts.filter(([feature]) => features.has(feature)).map(([, part]) => part)].join('-');
  if (features.has('AVX512')) {
    return withParts('avx512', [
      ['AVX512_VNNI', 'vnni'],
      ['AVX512_BF16', 'bf16'],
      ['AMX_INT8', 'amx'],
    ]);
  }
  if (features.has('AVX2')) return withParts('avx2', [['AVX_VNNI', 'vnni']]);
  if (features.has('AVX')) return 'avx';
  if (features.has('NEON')) {
    return withParts('neon', [
      ['DOTPROD', 'dotprod'],
      ['MATMUL_INT8', 'i8mm'],
      ['SVE', 'sve'],
    ]);
  }
  return features.has('SSE3') ? 'sse' : 'scalar';
}
