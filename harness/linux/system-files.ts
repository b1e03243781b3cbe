import {closeSync, constants, openSync, readdirSync, readSync, writeSync} from 'node:fs';
import path from 'node:path';

/**
 * The text files through which Linux says what it is: /proc, /sys, /etc. Reads are synchronous: such a file is made in
 * memory by the kernel, so that a read never waits for a disk, and a read through libuv's threads costs ten times more.
 */
export interface SystemFiles {
  /** Content of a file, or null when it is absent, unreadable or has ended (a process that is gone). */
  text(file: string): string | null;
  /** Names in a folder, sorted; empty when it is absent or unreadable. */
  list(folder: string): readonly string[];
  /** Keeps a file open for many readings. */
  open(file: string): OpenFile;
  /** Writes a switch of /proc, in one write. @returns Whether the kernel took it. */
  put(file: string, text: string): boolean;
}

/** A file read again and again from its beginning. It stays with its process: a pid used anew is not mistaken for it. */
export interface OpenFile {
  /** Content now, or null. */
  read(): string | null;
  close(): void;
}

/** No file of /proc or /sys that we read is larger; /proc/stat of 512 CPUs is 60 kB. */
const MAX_BYTES = 4 << 20;

/** @param root Folder that stands for `/`: a made-up host in tests. */
export function systemFiles(root = '/'): SystemFiles {
  const at = (file: string) => path.join(root, file);
  return {
    text(file) {
      const open = openPath(at(file));
      const text = open.read();
      open.close();
      return text;
    },
    list(folder) {
      try {
        return readdirSync(at(folder)).sort();
      } catch {
        return [];
      }
    },
    open: (file) => openPath(at(file)),
    put(file, text) {
      let fd: number | null = null;
      try {
        // Never made where it is missing.
        fd = openSync(at(file), constants.O_WRONLY);
        return writeSync(fd, text) === text.length;
      } catch {
        return false;
      } finally {
        if (fd !== null) closeSync(fd);
      }
    },
  };
}

let buffer = Buffer.allocUnsafe(1 << 16);

function openPath(file: string): OpenFile {
  let fd: number | null;
  try {
    fd = openSync(file, 'r');
  } catch {
    fd = null;
  }
  return {
    read() {
      if (fd === null) return null;
      try {
        return readAll(fd);
      } catch {
        return null;
      }
    },
    close() {
      if (fd !== null) closeSync(fd);
      fd = null;
    },
  };
}

function readAll(fd: number): string {
  let length = 0;
  for (;;) {
    const count = readSync(fd, buffer, length, buffer.length - length, length);
    length += count;
    if (count === 0 || length >= MAX_BYTES) return buffer.toString('latin1', 0, length);
    if (length === buffer.length) {
      const larger = Buffer.allocUnsafe(buffer.length * 2);
      buffer.copy(larger, 0, 0, length);
      buffer = larger;
    }
  }
}

/** A whole number in a file of its own, as /sys has them; null for anything else (`max`, empty, absent). */
export function readNumber(files: SystemFiles, file: string): number | null {
  return parseNumber(files.text(file));
}

export function parseNumber(text: string | null | undefined): number | null {
  const trimmed = text?.trim() ?? '';
  return /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : null;
}
