import type {DeviceEntry, DeviceIdentity, HostFacts} from '../contract/device.ts';
import type {Matrix} from '../contract/matrix.ts';
import type {Mistake} from './matrix-mistakes.ts';
import {editDistance, nearest} from './nearest.ts';

/** A device that cells are planned for: on this machine, or one to wait for. */
export interface CellDevice {
  readonly name: string;
  readonly kind: 'cpu' | 'cuda';
  /** The words of the matrix that stand for it, and its name: what the globs of rules are held against. */
  readonly words: readonly string[];
  /** Null when it is not in this machine. */
  readonly here: DeviceIdentity | null;
  /** Only for a server that runs on another machine, as the matrix says: its cells are measured from here. */
  readonly elsewhere?: true;
  /** Null when matrices/devices.yaml does not know it. */
  readonly entry: DeviceEntry | null;
}

/** `host` = every device this machine has; `host-cpu`, `host-gpu` = those of a kind, none when there is none. */
export const HOST_WORDS = ['host', 'host-cpu', 'host-gpu'] as const;

/** The devices of a matrix on this host, in the order of the matrix, each once; and names that mean nothing. */
export function resolveDevices(
  matrix: Matrix,
  host: HostFacts,
  catalogue: readonly DeviceEntry[],
): {readonly devices: readonly CellDevice[]; readonly mistakes: readonly Mistake[]} {
  const devices = new Map<string, CellDevice>();
  const mistakes: Mistake[] = [];
  const add = (device: CellDevice) => {
    const known = devices.get(device.name);
    devices.set(device.name, known === undefined ? device : {...known, words: [...known.words, ...device.words]});
  };
  for (const [index, word] of matrix.devices.entries()) {
    const here = host.devices.filter((device) => standsFor(word, device));
    for (const device of here) {
      add({
        name: device.name,
        kind: device.kind,
        words: [...new Set([word, device.name])],
        here: device,
        entry: device.entry,
      });
    }
    if (here.length > 0 || HOST_WORDS.some((known) => known === word)) continue;
    const entry = catalogue.find(({name}) => name === word) ?? null;
    const problem = entry === null ? strangeName(word, [...catalogue.map(({name}) => name), ...HOST_WORDS]) : null;
    if (problem === null) add({name: word, kind: entry?.kind ?? guessKind(word), words: [word], here: null, entry});
    else mistakes.push({path: ['devices', index], text: `"${word}" ${problem}`});
  }
  const {elsewhere, mistakes: strange} = serverDevices(matrix, catalogue);
  return {devices: [...devices.values(), ...elsewhere], mistakes: [...mistakes, ...strange]};
}

/** The devices of servers elsewhere, each once: they have their name from the matrix, and may be called as one here. */
function serverDevices(
  matrix: Matrix,
  catalogue: readonly DeviceEntry[],
): {readonly elsewhere: readonly CellDevice[]; readonly mistakes: readonly Mistake[]} {
  const elsewhere = new Map<string, CellDevice>();
  const mistakes: Mistake[] = [];
  for (const [index, runner] of matrix.runners.entries()) {
    const name = typeof runner === 'string' ? undefined : runner.server?.device;
    if (name === undefined) continue;
    const entry = catalogue.find((known) => known.name === name) ?? null;
    const problem =
      entry === null
        ? strangeName(
            name,
            catalogue.map((known) => known.name),
          )
        : null;
    if (problem !== null) {
      mistakes.push({path: ['runners', index, 'server', 'device'], text: `"${name}" ${problem}`});
      continue;
    }
    elsewhere.set(name, {
      name,
      kind: entry?.kind ?? guessKind(name),
      words: [name],
      here: null,
      elsewhere: true,
      entry,
    });
  }
  return {elsewhere: [...elsewhere.values()], mistakes};
}

function standsFor(word: string, device: DeviceIdentity): boolean {
  if (word === 'host') return true;
  if (word === 'host-cpu') return device.kind === 'cpu';
  if (word === 'host-gpu') return device.kind === 'cuda';
  return word === device.name;
}

/**
 * A device that nobody knows may be some other machine's, under the name it makes from what it reports; then it is
 * waited for. It is taken for a slip when it is a known name but for a few letters or hyphens (`a100-80g`; not `b200`
 * for `h200` nor `l4` for `t4`: another first letter is another product), or looks like no product at all: without a
 * digit, and shorter than three words.
 */
function strangeName(word: string, known: readonly string[]): string | null {
  if (!/^[a-z0-9.-]+$/.test(word)) return 'is no device: names have lower-case letters, digits, "." and "-"';
  const slip = known.find((name) => /\d/.test(word) && isSlip(word, name));
  if (slip !== undefined) return `is no device of devices.yaml; did you mean "${slip}"?`;
  if (/\d/.test(word) || word.split('-').length >= 3) return null;
  const near = nearest(word, known);
  return near === null ? `is no device; known are ${known.join(', ')}` : `is no device; did you mean "${near}"?`;
}

function isSlip(word: string, name: string): boolean {
  const digits = (text: string) => text.replace(/\D/g, '');
  return (
    word[0] === name[0] && digits(word) === digits(name) && editDistance(word, name) <= Math.floor(word.length / 3)
  );
}

/** Only for devices that neither this machine nor the catalogue knows: GPUs name their maker. */
function guessKind(name: string): 'cpu' | 'cuda' {
  return /\b(nvidia|geforce|rtx|gtx|tesla|quadro)\b/.test(name) ? 'cuda' : 'cpu';
}
