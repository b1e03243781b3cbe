/**
 * A WebAssembly module with one function that reads memory as fast as the CPU can: 16-byte vector loads, sixteen a step,
 * into four independent sums so that no load waits for another. Written as bytes so that it needs neither a compiler nor
 * a download, and runs the same on every CPU that Node runs on. As text it is:
 *
 * ```wat
 * (module
 *   (import "host" "memory" (memory 1))
 *   (func (export "read") (param $at i32) (param $end i32) (result i64)
 *     (local $a v128) (local $b v128) (local $c v128) (local $d v128)
 *     (loop $step                                        ;; 256 bytes
 *       (local.set $a (v128.xor (local.get $a) (v128.load offset=0 (local.get $at))))
 *       (local.set $b (v128.xor (local.get $b) (v128.load offset=16 (local.get $at))))
 *       ;; … $c, $d, $a, … up to offset=240
 *       (br_if $step (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 256))) (local.get $end))))
 *     (i64x2.extract_lane 0 (v128.xor (v128.xor $a $b) (v128.xor $c $d)))))
 * ```
 *
 * The result depends on every byte of the range, so that no load can be left out. `at` and `end` are multiples of 256.
 */
export function readKernel(): Uint8Array<ArrayBuffer> {
  const steps = Array.from({length: STEP_BYTES / 16}, (_, index) => {
    const local = 2 + (index % 4);
    return [GET, local, GET, 0, ...V128_LOAD, 4, ...leb(index * 16), ...V128_XOR, SET, local];
  });
  const body = [
    ...[1, 4, V128], // locals: four vectors
    ...[LOOP, EMPTY_BLOCK],
    ...steps.flat(),
    ...[GET, 0, I32_CONST, ...signedLeb(STEP_BYTES), I32_ADD, TEE, 0, GET, 1, I32_LT_U, BR_IF, 0],
    END,
    ...[GET, 2, GET, 3, ...V128_XOR, GET, 4, GET, 5, ...V128_XOR, ...V128_XOR, ...I64X2_EXTRACT_LANE, 0],
    END,
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, [1, 0x60, 2, I32, I32, 1, I64]), // type 0: (i32, i32) -> i64
    ...section(2, [1, ...name('host'), ...name('memory'), 2, 0, 1]), // a memory of at least one page
    ...section(3, [1, 0]), // function 0 has type 0
    ...section(7, [1, ...name('read'), 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

export const STEP_BYTES = 256;

const I32 = 0x7f;
const I64 = 0x7e;
const V128 = 0x7b;
const LOOP = 0x03;
const EMPTY_BLOCK = 0x40;
const END = 0x0b;
const BR_IF = 0x0d;
const GET = 0x20;
const SET = 0x21;
const TEE = 0x22;
const I32_CONST = 0x41;
const I32_LT_U = 0x49;
const I32_ADD = 0x6a;
const V128_LOAD = [0xfd, 0x00] as const;
const V128_XOR = [0xfd, 0x51] as const;
const I64X2_EXTRACT_LANE = [0xfd, 0x1d] as const;

function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text, 'ascii')];
}

/** Unsigned LEB128: seven bits a byte, lowest first. */
function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

/** Signed LEB128 of a number that is not negative: the last byte's bit 6 must be clear. */
function signedLeb(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signedLeb(value >>> 7)];
}
