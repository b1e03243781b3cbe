import {BenchError, type BenchErrorCode} from '../../harness/contract/errors.ts';

type Rule = readonly [pattern: RegExp, code: BenchErrorCode];

/** What the engine's own lines mean, in the order in which they are tried. */
const RULES: readonly Rule[] = [
  [/cannot allocate memory|failed to allocate|unable to allocate|out of memory|bad_alloc|ENOMEM/i, 'DOES_NOT_FIT'],
  [/unknown model architecture|unknown pre-tokenizer|unknown tokenizer|unsupported model/i, 'UNSUPPORTED'],
  [/requires flash_attn|not supported|unsupported/i, 'UNSUPPORTED'],
];

/** Lines that say that something failed, but not what. */
const EMPTY_WORDS = /failed to load model|_init_from_model: failed/i;

/**
 * The coded error of a load that returned nothing, with the engine's last error line that says something.
 *
 * @param what `model <path>` or `context`.
 * @param otherwise The code when no line is known: a model file that does not load is corrupt, a context that cannot be
 *   made does not fit.
 */
export function loadFailure(what: string, errors: readonly string[], otherwise: BenchErrorCode): BenchError {
  const known = RULES.flatMap(([pattern, code]) =>
    errors.filter((line) => pattern.test(line)).map((line) => ({line, code})),
  )[0];
  const telling = errors.filter((line) => !EMPTY_WORDS.test(line)).at(-1) ?? errors.at(-1);
  const line = known?.line ?? telling ?? 'the engine gave no reason';
  return new BenchError(known?.code ?? otherwise, `${what}: ${line.replace(/\s+/g, ' ')}`);
}
