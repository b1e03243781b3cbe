import {readFileSync} from 'node:fs';
import type {Cell} from '../../harness/contract/cell.ts';

/** The CPU library of the prebuilt engine that uses no more than the cap; null = the engine takes the best itself. */
export function variantFor(isa: Cell['isa']): string | null {
  switch (isa) {
    case 'native':
      return null;
    case 'avx2':
      return 'haswell';
    case 'avx512':
      return 'skylakex';
  }
}

/**
 * Which CPU library this process really has mapped, as `cpu-zen4`; a build with one CPU library only gives `cpu-native`.
 * null when none is mapped.
 *
 * @param maps Text of /proc/self/maps.
 */
export function loadedCpuKernel(maps: string): string | null {
  const match = /libggml-cpu(?:-([a-z0-9_.]+?))?\.(?:so|dylib)/.exec(maps);
  if (match === null) return null;
  return `cpu-${match[1] ?? 'native'}`;
}

export function readProcessMaps(): string {
  try {
    return readFileSync('/proc/self/maps', 'utf8');
  } catch {
    return '';
  }
}
