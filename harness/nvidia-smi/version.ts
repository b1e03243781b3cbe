/** @module `nvidia-smi --version`, and the header of the plain table for drivers that lack it. */

export interface SmiVersion {
  readonly driver: string | null;
  /** Highest CUDA version this driver supports, not an installed toolkit. */
  readonly cuda: string | null;
}

/** Reads either text. Never throws. */
export function parseVersion(text: string): SmiVersion {
  const driver = /driver version\s*:\s*([\d.]+)/i.exec(text)?.[1] ?? null;
  const cuda = /cuda (?:umd )?version\s*:\s*([\d.]+)/i.exec(text)?.[1] ?? null;
  return {driver, cuda};
}
