/** @module What the functions of NVML return (nvml.h, `nvmlReturn_t`), and what a person can do about it. */

const SUCCESS = 0;
const NOT_SUPPORTED = 3;
const INSUFFICIENT_SIZE = 7;
const FUNCTION_NOT_FOUND = 13;
const GPU_IS_LOST = 15;
const RESET_REQUIRED = 16;

export const NVML = {
  SUCCESS,
  NOT_SUPPORTED,
  INSUFFICIENT_SIZE,
  FUNCTION_NOT_FOUND,
  GPU_IS_LOST,
  RESET_REQUIRED,
} as const;

const WORDS: Readonly<Record<number, string>> = {
  1: 'uninitialized',
  2: 'invalid argument',
  3: 'not supported',
  4: 'insufficient permissions',
  6: 'not found',
  7: 'insufficient size',
  8: 'insufficient external power',
  9: 'driver not loaded',
  10: 'timeout',
  11: 'interrupt problem',
  12: 'library not found',
  13: 'not in this driver',
  14: 'corrupted inforom',
  15: 'gpu is lost',
  16: 'gpu requires reset',
  17: 'blocked by the operating system',
  18: 'driver and library have different versions',
  19: 'in use',
  20: 'out of memory',
  21: 'no data',
  25: 'argument version mismatch',
  26: 'deprecated',
  27: 'not ready',
  28: 'gpu not found',
  999: 'unknown error',
};

export function codeWords(code: number): string {
  return WORDS[code] ?? `error ${code}`;
}

const FIXES: Readonly<Record<number, string>> = {
  4: 'run as a user that may open /dev/nvidia*',
  9: 'sudo modprobe nvidia; in a container: start it with --gpus all',
  15: 'reboot: the card does not answer on its bus (sudo dmesg | grep Xid)',
  16: 'sudo nvidia-smi --gpu-reset, or reboot',
  18: 'reboot: the driver was updated while it was loaded',
};

/** What helps against an error; null when nothing general does. */
export function codeFix(code: number): string | null {
  return FIXES[code] ?? null;
}

/** The card is gone until somebody resets it: no later call can succeed. */
export function isGone(code: number): boolean {
  return code === GPU_IS_LOST || code === RESET_REQUIRED;
}
