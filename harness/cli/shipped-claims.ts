import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {parseClaims} from '../claims/parse-claims.ts';
import type {ClaimsFile} from '../contract/claim.ts';
import {BenchError} from '../contract/errors.ts';
import type {PricesFile} from '../contract/prices.ts';
import {PACKAGE_ROOT} from './package-root.ts';

const FOLDER = join(PACKAGE_ROOT, 'matrices', 'claims');
/** The paper that the shipped matrices begin with. */
const FIRST = 'licardo-2025.yaml';

/** The claims of `matrices/claims`, the paper's first. @throws {BenchError} CLAIMS_INVALID, FILE_UNREADABLE */
export function shippedClaims(prices: PricesFile): ClaimsFile[] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
  const inOrder = [FIRST, ...names.filter((name) => name !== FIRST).sort()];
  return inOrder.map((name) => readClaims(join(FOLDER, name), prices));
}

/** @throws {BenchError} CLAIMS_INVALID, FILE_UNREADABLE */
export function readClaims(path: string, prices: PricesFile): ClaimsFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
    throw new BenchError('FILE_UNREADABLE', `${path} cannot be read`, {cause});
  }
  return parseClaims(text, path, prices);
}
