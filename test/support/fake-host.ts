import {readFileSync} from 'node:fs';
import type {SystemFiles} from '../../harness/linux/system-files.ts';

/**
 * A machine made of text: `test/fixtures/hosts/<name>.txt` holds its files, each after a line `-- /path --`. (One file a
 * host, since names like `intel-rapl:0` cannot be checked out everywhere.)
 */
export class FakeHost implements SystemFiles {
  readonly #files = new Map<string, string>();

  static load(name: string): FakeHost {
    const host = new FakeHost();
    const text = readFileSync(new URL(`../fixtures/hosts/${name}.txt`, import.meta.url), 'utf8');
    for (const part of text.split(/^-- (?=\/)/m).slice(1)) {
      const end = part.indexOf(' --\n');
      host.set(part.slice(0, end), part.slice(end + ' --\n'.length));
    }
    return host;
  }

  set(path: string, text: string): this {
    this.#files.set(path, text);
    return this;
  }

  /** A file, or everything below a folder. */
  remove(path: string): this {
    for (const file of [...this.#files.keys()]) {
      if (file === path || file.startsWith(`${path}/`)) this.#files.delete(file);
    }
    return this;
  }

  text(path: string): string | null {
    return this.#files.get(path) ?? null;
  }

  list(folder: string): readonly string[] {
    const below = [...this.#files.keys()].filter((file) => file.startsWith(`${folder}/`));
    return [...new Set(below.map((file) => file.slice(folder.length + 1).split('/')[0] ?? ''))].sort();
  }

  /** Of what a host can be told, the peak of a process is known: it falls to the present size. */
  put(path: string, text: string): boolean {
    const pid = /^\/proc\/(\d+)\/clear_refs$/.exec(path)?.[1];
    const status = this.text(`/proc/${pid}/status`);
    const rss = /^VmRSS:\t(\d+) kB$/m.exec(status ?? '')?.[1];
    if (text !== '5' || status === null || rss === undefined || !status.includes('VmHWM')) return false;
    this.set(`/proc/${pid}/status`, status.replace(/VmHWM:\t\d+/, `VmHWM:\t${rss}`));
    return true;
  }

  open(path: string): {read: () => string | null; close: () => void} {
    return {read: () => this.text(path), close: () => {}};
  }
}

/** A process in a fake host: its memory in KiB, its CPU time in hundredths of a second, its children. */
export interface FakeProcess {
  readonly anonymousKib?: number;
  readonly fileKib?: number;
  readonly sharedKib?: number;
  readonly swapKib?: number;
  /** The largest resident size so far; absent: the kernel keeps none. */
  readonly peakKib?: number;
  /** Proportional set size; absent: no smaps_rollup. */
  readonly pssKib?: number;
  readonly cpuTicks?: number;
  readonly children?: readonly number[];
}

export function setProcess(host: FakeHost, pid: number, fake: FakeProcess): void {
  const {anonymousKib = 0, fileKib = 0, sharedKib = 0, swapKib = 0} = fake;
  const {pssKib, peakKib, cpuTicks = 0, children = []} = fake;
  const kib = (name: string, value: number) => `${name}:\t${value} kB\n`;
  host.set(
    `/proc/${pid}/status`,
    `Name:\tworker\nState:\tR (running)\nPid:\t${pid}\n${peakKib === undefined ? '' : kib('VmHWM', peakKib)}${kib('VmRSS', anonymousKib + fileKib + sharedKib)}` +
      `${kib('RssAnon', anonymousKib)}${kib('RssFile', fileKib)}${kib('RssShmem', sharedKib)}${kib('VmSwap', swapKib)}`,
  );
  if (pssKib !== undefined)
    host.set(
      `/proc/${pid}/smaps_rollup`,
      `00400000-7fff r--p 0 00:00 0 [rollup]\nRss: 1 kB\nPss: ${pssKib} kB\nPss_Dirty: 1 kB\n`,
    );
  host.set(`/proc/${pid}/stat`, `${pid} (wor) ker) R 1 ${pid} 1 0 -1 0 0 0 0 0 ${cpuTicks} 0 0 0 20 0 1 0 1 1 1\n`);
  host.set(`/proc/${pid}/task/${pid}/children`, children.map((child) => `${child} `).join(''));
}

/** /proc/stat of a host, from times in hundredths of a second. */
export function setHostTimes(host: FakeHost, {busy, idle, steal}: {busy: number; idle: number; steal: number}): void {
  host.set('/proc/stat', `cpu  ${busy} 0 0 ${idle} 0 0 0 ${steal} 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\n`);
}
