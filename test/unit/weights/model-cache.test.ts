import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {describe, expect, onTestFinished, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {acquireLock} from '../../../harness/weights/cache-lock.ts';
import {type EnsureOptions, ModelCache} from '../../../harness/weights/model-cache.ts';
import {chunkOf, factsOf, KEY} from './support/cache-model.ts';
import {never, temporaryDir} from './support/temporary.ts';

const CHILD = fileURLToPath(new URL('support/cache-child.ts', import.meta.url));

interface Child {
  readonly process: ChildProcess;
  /** Resolves when it has written the line, or has ended. */
  line(start: string): Promise<string>;
  ended(): Promise<number | null>;
}

function start(...args: readonly string[]): Child {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, ...args], {stdio: ['ignore', 'pipe', 'inherit']});
  onTestFinished(() => void child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  let text = '';
  child.stdout?.on('data', (data: Buffer) => {
    text += data.toString();
    child.emit('line');
  });
  return {
    process: child,
    line: async (prefix) => {
      for (;;) {
        const found = text.split('\n').find((line) => line.startsWith(prefix));
        if (found !== undefined || child.exitCode !== null) return found ?? '';
        await Promise.race([once(child, 'line'), exit]);
      }
    },
    ended: async () => {
      await exit;
      return child.exitCode;
    },
  };
}

/** Makes the entry here, in this process. */
function making(chunks = 4, more: Partial<EnsureOptions> = {}): EnsureOptions {
  return {
    bytesNeeded: 1,
    resumable: false,
    signal: never,
    onNote: () => undefined,
    make: ({dir}) => {
      writeFileSync(join(dir, 'model.gguf'), Buffer.concat(Array.from({length: chunks}, (_, index) => chunkOf(index))));
      return Promise.resolve(factsOf(chunks));
    },
    ...more,
  };
}

const hidden = (cacheDir: string) => readdirSync(join(cacheDir, 'models')).filter((name) => name.startsWith('.'));

describe('one process', () => {
  test('makes an entry once, and finds it again', async () => {
    const cache = new ModelCache(temporaryDir());
    let made = 0;
    const options = making(4, {
      make: (context) => {
        made++;
        return making().make(context);
      },
    });
    const first = await cache.ensure(KEY, options);
    const second = await cache.ensure(KEY, options);
    expect(made).toBe(1);
    expect(second.path).toBe(first.path);
    expect(first.name).toMatch(/^synthetic-bench-tiny--seed-1--gguf-f16--[0-9a-f]{8}$/);
    expect(first.entry.files).toMatchObject([{name: 'model.gguf', bytes: 4 * 65_536}]);
  });

  test('keeps other seeds, formats and generators apart', () => {
    const cache = new ModelCache('/nowhere');
    const keys = [
      KEY,
      {...KEY, seed: 2},
      {...KEY, format: 'gguf-q8_0' as const},
      {...KEY, generator: 'other'},
      {...KEY, source: 'synthetic-bench-tiny'},
    ];
    expect(new Set(keys.map((key) => cache.nameOf(key))).size).toBe(keys.length);
  });

  test('makes folder names that stay inside the cache', () => {
    const name = new ModelCache('/nowhere').nameOf({...KEY, source: `file:/../../${'x'.repeat(300)}/..`});
    expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{1,120}$/);
  });

  test('leaves nothing behind when making fails', async () => {
    const dir = temporaryDir();
    const cache = new ModelCache(dir);
    const failing = making(1, {
      make: async (context) => {
        writeFileSync(join(context.dir, 'model.gguf'), 'half');
        throw new BenchError('NETWORK', 'gone');
      },
    });
    await expect(cache.ensure(KEY, failing)).rejects.toThrow('gone');
    expect(readdirSync(cache.dir)).toEqual([]);
    // And the lock was given back.
    expect((await cache.ensure(KEY, making())).entry.key).toEqual(KEY);
  });

  test('keeps what a resumable attempt has written, lists it as partial, and removes it on request', async () => {
    const cache = new ModelCache(temporaryDir());
    const failing = making(1, {
      resumable: true,
      make: async (context) => {
        writeFileSync(join(context.dir, 'model.gguf.part'), 'half');
        throw new BenchError('NETWORK', 'gone');
      },
    });
    await expect(cache.ensure(KEY, failing)).rejects.toThrow('gone');
    expect(await cache.list()).toMatchObject([{name: cache.nameOf(KEY), state: 'partial', bytes: 4}]);
    let found: string[] = [];
    const entry = await cache.ensure(
      KEY,
      making(1, {
        resumable: true,
        make: (context) => {
          found = readdirSync(context.dir);
          return making(1).make(context);
        },
      }),
    );
    expect(found).toEqual(['model.gguf.part']);
    expect(readdirSync(entry.dir).sort()).toEqual(['entry.json', 'model.gguf']);
    expect(hidden(join(cache.dir, '..'))).toEqual([]);
  });

  test('says how much disk is missing before it makes anything', async () => {
    const cache = new ModelCache(temporaryDir());
    let asked = false;
    const work = cache.ensure(
      KEY,
      making(1, {
        bytesNeeded: 2 ** 60,
        make: () => {
          asked = true;
          return Promise.resolve(factsOf(1));
        },
      }),
    );
    await expect(work).rejects.toMatchObject({code: 'DISK_FULL'});
    await expect(work).rejects.toThrow(/ needs 1048576 TiB, .+ are free$/);
    expect(asked).toBe(false);
  });

  test('stops waiting for another when it is told to', async () => {
    const dir = temporaryDir();
    const cache = new ModelCache(dir);
    const release = await acquireLock({
      dir: join(dir, 'locks'),
      name: `model-${cache.nameOf(KEY)}`,
      what: 'a test',
      signal: never,
      onWait: () => undefined,
    });
    const stop = new AbortController();
    const notes: string[] = [];
    const onNote = (text: string) => {
      notes.push(text);
      stop.abort();
    };
    await expect(cache.ensure(KEY, making(1, {signal: stop.signal, onNote}))).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    expect(notes).toEqual([
      expect.stringMatching(new RegExp(`^waiting for process ${process.pid} \\(a test, since .+Z\\)$`)),
    ]);
    await release();
  });
});

describe('an entry that was touched', () => {
  test('is made again when its length differs', async () => {
    const cache = new ModelCache(temporaryDir());
    const {path} = await cache.ensure(KEY, making());
    truncateSync(path, 100);
    expect(await cache.find(KEY)).toBeNull();
    const notes: string[] = [];
    await cache.ensure(KEY, making(4, {onNote: (text) => notes.push(text)}));
    expect(statSync(path).size).toBe(4 * 65_536);
    expect(notes.at(-1)).toMatch(/is damaged \(model.gguf has 100 bytes, not 262144\): making it again$/);
    expect(hidden(join(cache.dir, '..'))).toEqual([]);
  });

  test('is hashed and taken over when only its time differs', async () => {
    const cache = new ModelCache(temporaryDir());
    const {path} = await cache.ensure(KEY, making());
    utimesSync(path, 1, 1);
    const remade = making(4, {make: () => Promise.reject(new Error('made again'))});
    expect((await cache.ensure(KEY, remade)).entry.files[0]?.modifiedMs).toBe(1000);
    expect(await cache.find(KEY)).not.toBeNull();
  });

  test('with other bytes and the same length and time is found by verify', async () => {
    const cache = new ModelCache(temporaryDir());
    const {path, name} = await cache.ensure(KEY, making());
    const {mtime, atime} = statSync(path);
    const other = await cache.ensure({...KEY, seed: 2}, making());
    const bytes = readFileSync(path);
    bytes[0] = 99;
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
    const results = await cache.verify({signal: never, onEntry: () => undefined});
    expect(results.sort((a) => (a.ok ? 1 : -1))).toEqual([
      {name, ok: false, reason: 'model.gguf has other bytes (SHA-256 differs)'},
      {name: other.name, ok: true, reason: ''},
    ]);
  });
});

describe('the listing', () => {
  test('has sizes, last use and state, sorted by name', async () => {
    const cache = new ModelCache(temporaryDir());
    expect(await cache.list()).toEqual([]);
    const first = await cache.ensure(KEY, making(2));
    const second = await cache.ensure({...KEY, source: 'hf:org/repo', seed: null, format: null}, making(1));
    utimesSync(join(first.dir, 'entry.json'), 1_700_000_000, 1_700_000_000);
    writeFileSync(second.path, 'cut');
    const entries = await cache.list();
    expect(
      entries.map(({name, state, lastUsedAt, source, seed, format}) => ({
        name,
        state,
        lastUsedAt,
        source,
        seed,
        format,
      })),
    ).toEqual([
      {
        name: second.name,
        state: 'damaged',
        lastUsedAt: statSync(join(second.dir, 'entry.json')).mtime.toISOString(),
        source: 'hf:org/repo',
        seed: null,
        format: 'gguf-f16',
      },
      {
        name: first.name,
        state: 'complete',
        lastUsedAt: '2023-11-14T22:13:20.000Z',
        source: KEY.source,
        seed: 1,
        format: 'gguf-f16',
      },
    ]);
    expect(entries[1]?.bytes).toBe(2 * 65_536 + statSync(join(first.dir, 'entry.json')).size);
    await cache.ensure(KEY, making(2));
    expect((await cache.list())[1]?.lastUsedAt).not.toBe('2023-11-14T22:13:20.000Z');
  });

  test('loses what a glob matches, and nothing else', async () => {
    const cache = new ModelCache(temporaryDir());
    for (const seed of [1, 2, 11]) await cache.ensure({...KEY, seed}, making(1));
    expect((await cache.remove('*seed-1--*')).map(({bytes}) => bytes > 65_536)).toEqual([true]);
    expect((await cache.list()).map(({seed}) => seed)).toEqual([11, 2]);
    expect(await cache.remove('no.such')).toEqual([]);
    expect(await cache.remove('synthetic?bench-tiny*')).toHaveLength(2);
    expect(readdirSync(cache.dir)).toEqual([]);
  });

  test('keeps what is being made right now, in one line', async () => {
    const dir = temporaryDir();
    const cache = new ModelCache(dir);
    const {name} = await cache.ensure(KEY, making());
    const release = await acquireLock({
      dir: join(dir, 'locks'),
      name: `model-${name}`,
      what: 'a test',
      signal: never,
      onWait: () => undefined,
    });
    await expect(cache.remove('*')).rejects.toMatchObject({
      code: 'HOST_BUSY',
      message: `${name}: another process is making it right now; not removed`,
    });
    await release();
    expect(await cache.remove('*')).toHaveLength(1);
  });
});

describe('several processes', () => {
  test('a kill in the middle of a write leaves nothing that looks complete, and the next one cleans up and makes it', async () => {
    const dir = temporaryDir();
    const cache = new ModelCache(dir);
    const child = start('make', dir, '1000', '20');
    expect(await child.line('making')).toBe('making');
    await delay(60);
    child.process.kill('SIGKILL');
    await child.ended();
    expect(hidden(dir)).toHaveLength(1);
    expect(await cache.find(KEY)).toBeNull();
    expect(await cache.list()).toEqual([]);
    const notes: string[] = [];
    const entry = await cache.ensure(KEY, making(4, {onNote: (text) => notes.push(text)}));
    expect(statSync(entry.path).size).toBe(4 * 65_536);
    expect(hidden(dir)).toEqual([]);
    // A dead holder's lock is taken over without waiting.
    expect(notes).toEqual([]);
  });

  test('killed at any moment, an entry is whole or not there', async () => {
    const dir = temporaryDir();
    const cache = new ModelCache(dir);
    const seen = new Set<boolean>();
    for (const pauseMs of [0, 4, 8, 12, 16, 24, 1000]) {
      const child = start('make', dir, '24', '0');
      await child.line('making');
      await Promise.race([delay(pauseMs), child.ended()]);
      child.process.kill('SIGKILL');
      await child.ended();
      const entry = await cache.find(KEY);
      seen.add(entry !== null);
      expect(await cache.verify({signal: never, onEntry: () => undefined})).toEqual(
        entry === null ? [] : [{name: entry.name, ok: true, reason: ''}],
      );
      await cache.remove('*');
    }
    expect(seen.has(true)).toBe(true);
  });

  test('two at once: one makes it, the other waits for it and says so', async () => {
    const dir = temporaryDir();
    const first = start('make', dir, '40', '150');
    await first.line('making');
    const second = start('make', dir, '40', '20');
    expect(await second.line('note')).toMatch(
      new RegExp(`^note waiting for process ${first.process.pid} \\(making synthetic-bench-tiny--seed-1--gguf-f16--`),
    );
    expect(await Promise.all([first.ended(), second.ended()])).toEqual([0, 0]);
    expect(readFileSync(join(dir, 'makers.log'), 'utf8')).toBe(`${first.process.pid}\n`);
    expect(await new ModelCache(dir).find(KEY)).not.toBeNull();
  });

  test('that take over a dead lock at the same moment never hold it together', async () => {
    const dir = temporaryDir();
    mkdirSync(join(dir, 'locks'));
    writeFileSync(join(dir, 'counter'), '0');
    const dead = {
      host: hostname().replaceAll(/[^A-Za-z0-9.]/g, '-'),
      pid: 2 ** 22 + 1,
      started: 1,
      what: '',
      since: '',
      released: false,
    };
    writeFileSync(join(dir, 'locks', 'counter.7.lock'), JSON.stringify(dead));
    const children = [start('count', dir), start('count', dir), start('count', dir)];
    expect(await Promise.all(children.map((child) => child.ended()))).toEqual([0, 0, 0]);
    expect(readFileSync(join(dir, 'counter'), 'utf8')).toBe('30');
    expect(existsSync(join(dir, 'locks', 'counter.7.lock'))).toBe(false);
  });

  test('a process that reuses the number of a dead one does not hold its lock', async () => {
    const dir = temporaryDir();
    mkdirSync(join(dir, 'locks'));
    const reused = {
      host: hostname().replaceAll(/[^A-Za-z0-9.]/g, '-'),
      pid: process.pid,
      started: 1,
      what: '',
      since: '',
      released: false,
    };
    writeFileSync(join(dir, 'locks', 'x.0.lock'), JSON.stringify(reused));
    const release = await acquireLock({
      dir: join(dir, 'locks'),
      name: 'x',
      what: 'a test',
      signal: AbortSignal.timeout(2000),
      onWait: () => undefined,
    });
    await release();
  });

  test('another host holds its lock as long as its heartbeat is young', async () => {
    const dir = temporaryDir();
    const path = join(dir, 'x.0.lock');
    writeFileSync(
      path,
      JSON.stringify({host: 'elsewhere', pid: 1, started: 1, what: 'making', since: 'noon', released: false}),
    );
    const notes: string[] = [];
    const stop = new AbortController();
    const waiting = acquireLock({
      dir,
      name: 'x',
      what: 'a test',
      signal: stop.signal,
      onWait: (text) => {
        notes.push(text);
        stop.abort();
      },
    });
    await expect(waiting).rejects.toMatchObject({code: 'INTERRUPTED'});
    expect(notes).toEqual(['waiting for process 1 on elsewhere (making, since noon)']);
    utimesSync(path, 1, 1);
    await (
      await acquireLock({dir, name: 'x', what: 'a test', signal: AbortSignal.timeout(2000), onWait: () => undefined})
    )();
  });
});
