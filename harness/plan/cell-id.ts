import {createHash} from 'node:crypto';
import {type Cell, cellIdentity} from '../contract/cell.ts';

/** First 12 hex digits of the SHA-256 of what must be equal to compare. Known before the host is. */
export function cellId(cell: Omit<Cell, 'id'>): string {
  return sha256(JSON.stringify(cellIdentity(cell))).slice(0, 12);
}

/** First 16 hex digits: the matrix file as it is, and the cells that were chosen of it. */
export function planId(matrixSha256: string, cellIds: readonly string[]): string {
  return sha256(JSON.stringify(['bench-plan-1', matrixSha256, cellIds])).slice(0, 16);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
