import {createHash} from 'node:crypto';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import {sharedPrefixTokens} from '../../harness/contract/workload.ts';
import type {Vocabulary} from './engine.ts';

/** Words of 32 bits in one SHA-256. */
const WORDS = 8;

/**
 * Random token ids that every worker in every language makes alike:
 *
 * 1. Block b of the stream of a key is `SHA-256("bench-prompt-1:" + key + ":" + b)`, read as eight little-endian
 *    unsigned 32-bit words; b = 0, 1, 2, …
 * 2. A word w becomes the id `floor(w × vocabulary ÷ 2^32)`.
 * 3. A special id is replaced by the next id that is not, wrapping at the end of the vocabulary.
 *
 * The key of a prompt is `seed:round:phase:index:lane:sequence`, that of a shared prefix `seed:shared`, so that all
 * formats see the same prompts and no two requests of a run see the same one.
 */
export function tokenStream(key: string, count: number, vocabulary: Vocabulary): Int32Array {
  const ids = new Int32Array(count);
  for (let block = 0; block * WORDS < count; block++) {
    const digest = createHash('sha256').update(`bench-prompt-1:${key}:${block}`).digest();
    for (let word = 0; word < WORDS && block * WORDS + word < count; word++) {
      const drawn = Math.floor((digest.readUInt32LE(word * 4) * vocabulary.size) / 2 ** 32);
      ids[block * WORDS + word] = nextPlainId(drawn, vocabulary);
    }
  }
  return ids;
}

function nextPlainId(drawn: number, vocabulary: Vocabulary): number {
  for (let step = 0; step < vocabulary.size; step++) {
    const id = (drawn + step) % vocabulary.size;
    if (!vocabulary.isSpecial(id)) return id;
  }
  return drawn;
}

export interface PromptPosition {
  readonly phase: 'warmup' | 'measure';
  /** 0-based within the phase. */
  readonly index: number;
  readonly lane: number;
  /** 0-based within the batch. */
  readonly sequence: number;
}

/** The shared prefix of the workload; empty when every request starts from nothing. */
export function sharedPrefix(order: WorkOrder, vocabulary: Vocabulary): Int32Array {
  return tokenStream(`${order.cell.promptSeed}:shared`, sharedPrefixTokens(order.cell.workload), vocabulary);
}

/** The prompt of one sequence of one request: shared prefix first, then ids that no other request has. */
export function promptTokens(order: WorkOrder, position: PromptPosition, vocabulary: Vocabulary): Int32Array {
  const {cell, round} = order;
  const {phase, index, lane, sequence} = position;
  const prefix = sharedPrefix(order, vocabulary);
  const own = Math.max(0, cell.workload.promptTokens - prefix.length);
  const prompt = new Int32Array(prefix.length + own);
  prompt.set(prefix);
  const key = [cell.promptSeed, round, phase, index, lane, sequence].join(':');
  prompt.set(tokenStream(key, own, vocabulary), prefix.length);
  return prompt;
}
