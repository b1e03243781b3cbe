import {describe, expect, test} from 'vitest';
import {arrayBytes, bestRate, measureReadBandwidth} from '../../../harness/device/bandwidth.ts';
import {readKernel, STEP_BYTES} from '../../../harness/device/read-kernel.ts';
import {FakeHost} from '../../support/fake-host.ts';

const MIB = 2 ** 20;

/** The few parts of WebAssembly used here: its types come with the browser's, which this project does not load. */
interface WebAssemblyApi {
  readonly Memory: new (size: {initial: number}) => {readonly buffer: ArrayBuffer};
  readonly Module: {
    new (bytes: Uint8Array): object;
    imports(module: object): unknown;
    exports(module: object): unknown;
  };
  readonly Instance: new (
    module: object,
    imports: object,
  ) => {readonly exports: {read(at: number, end: number): bigint}};
  readonly RuntimeError: new () => Error;
}
// Node has it as a global; see above for why TypeScript does not know.
const {WebAssembly: wasm} = globalThis as unknown as {WebAssembly: WebAssemblyApi};

/** The kernel with a memory of its own. */
function kernel(pages: number) {
  const memory = new wasm.Memory({initial: pages});
  const {exports} = new wasm.Instance(new wasm.Module(readKernel()), {host: {memory}});
  return {memory, read: exports.read};
}

describe('the reading kernel', () => {
  test('is valid WebAssembly with one import and one export', () => {
    const module = new wasm.Module(readKernel());
    expect(wasm.Module.imports(module)).toEqual([{module: 'host', name: 'memory', kind: 'memory'}]);
    expect(wasm.Module.exports(module)).toEqual([{name: 'read', kind: 'function'}]);
  });

  test('reads every vector of its range and nothing beside it', () => {
    const {memory, read} = kernel(1);
    const words = new BigUint64Array(memory.buffer);
    for (let at = 0; at < 4 * STEP_BYTES; at += 16) {
      words.fill(0n);
      words[at / 8] = 5n;
      const inside = at >= STEP_BYTES && at < 3 * STEP_BYTES;
      expect([at, read(STEP_BYTES, 3 * STEP_BYTES)]).toEqual([at, inside ? 5n : 0n]);
    }
  });

  test('reads to the last byte of its memory', () => {
    const {memory, read} = kernel(2);
    new BigUint64Array(memory.buffer)[2 * 8192 - 2] = 9n;
    expect(read(0, 2 * 65_536)).toBe(9n);
    expect(() => read(0, 2 * 65_536 + STEP_BYTES)).toThrow(wasm.RuntimeError);
  });
});

describe('the array of each thread', () => {
  test('makes four times the last cache in all, and at least 64 MiB', () => {
    expect(arrayBytes(1, 32 * MIB, 64 * 1024 * MIB)).toBe(128 * MIB);
    expect(arrayBytes(2, 32 * MIB, 64 * 1024 * MIB)).toBe(64 * MIB);
    expect(arrayBytes(8, 1152 * MIB, 1024 * 1024 * MIB)).toBe(576 * MIB);
    expect(arrayBytes(2, 480 * MIB, 24 * 1024 * MIB)).toBe(960 * MIB);
    expect(arrayBytes(1, 1152 * MIB, 1024 * 1024 * MIB)).toBe(3072 * MIB);
    expect(arrayBytes(1, null, 64 * 1024 * MIB)).toBe(128 * MIB);
  });

  test('takes at most a quarter of the free memory', () => {
    expect(arrayBytes(4, 32 * MIB, 512 * MIB)).toBe(32 * MIB);
    expect(arrayBytes(4, 32 * MIB, 0)).toBe(MIB);
  });
});

describe('the best pass', () => {
  test('runs from the first start to the last end; passes that were not run do not count', () => {
    const s = 1_000_000_000n;
    // Two threads, three passes: 4 s, 2 s, not run.
    const times = BigInt64Array.of(s, 4n * s, 10n * s, 12n * s, 0n, 0n, 2n * s, 5n * s, 10n * s, 11n * s, 0n, 0n);
    expect(bestRate(times, 2, 1000)).toBe(1000);
  });
});

describe('measured on this machine', () => {
  // A small last cache makes small arrays: this is about the machinery, not about the figure.
  const files = FakeHost.load('kvm-zen4');

  test('two threads give a plausible rate', async () => {
    const {bytesPerS, arrayBytes: bytes, cacheBytes} = await measureReadBandwidth({threads: 2, budgetMs: 20, files});
    expect(bytesPerS).toBeGreaterThan(0.1e9);
    expect(bytesPerS).toBeLessThan(5e12);
    expect([bytes, cacheBytes]).toEqual([128 * MIB, 32 * MIB]);
  });

  test('what would come from the cache is not called memory bandwidth', async () => {
    const small = FakeHost.load('kvm-hidden-xeon').set(
      '/proc/meminfo',
      'MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n',
    );
    await expect(measureReadBandwidth({threads: 2, files: small})).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message:
        'memory bandwidth: not measured, since arrays of 488 MiB would lie in the last-level cache of 480 MiB: free more memory',
    });
  });

  test('an interruption ends it at once', async () => {
    const controller = new AbortController();
    const measured = measureReadBandwidth({threads: 2, budgetMs: 60_000, files, signal: controller.signal});
    controller.abort();
    await expect(measured).rejects.toMatchObject({code: 'INTERRUPTED'});
    await expect(measureReadBandwidth({threads: 1, files, signal: controller.signal})).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });
});
