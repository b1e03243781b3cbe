import {CAVEAT_CODES, type Caveat} from '../contract/caveats.ts';

/** What a worker says: `code` or `code=value`. A code that nobody knows is the protocol check's business. */
export function parseCaveat(text: string): Caveat[] {
  const [name, ...rest] = text.split('=');
  const code = CAVEAT_CODES.find((one) => one === name);
  const value = rest.join('=').replaceAll(/[\s;]+/g, '_');
  return code === undefined ? [] : [value === '' ? {code} : {code, value}];
}
