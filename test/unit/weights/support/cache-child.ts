// A process of its own that uses the cache: `cache-child.ts <make|count> <cache folder> [chunks] [pause ms]`.
import {appendFileSync, openSync, readFileSync, writeFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {acquireLock} from '../../../../harness/weights/cache-lock.ts';
import {ModelCache} from '../../../../harness/weights/model-cache.ts';
import {chunkOf, factsOf, KEY} from './cache-model.ts';

const [mode, cacheDir = '', chunks = '16', pauseMs = '0'] = process.argv.slice(2);
const {signal} = new AbortController();

if (mode === 'make') {
  await new ModelCache(cacheDir).ensure(KEY, {
    bytesNeeded: 1,
    resumable: false,
    signal,
    onNote: (text) => process.stdout.write(`note ${text}\n`),
    make: async ({dir}) => {
      appendFileSync(join(cacheDir, 'makers.log'), `${process.pid}\n`);
      process.stdout.write('making\n');
      const file = openSync(join(dir, 'model.gguf'), 'w');
      for (let index = 0; index < Number(chunks); index++) {
        writeSync(file, chunkOf(index));
        await delay(Number(pauseMs));
      }
      return factsOf(Number(chunks));
    },
  });
  process.stdout.write('done\n');
} else {
  const counter = join(cacheDir, 'counter');
  for (let round = 0; round < 10; round++) {
    const release = await acquireLock({
      dir: join(cacheDir, 'locks'),
      name: 'counter',
      what: 'counting',
      signal,
      onWait: () => undefined,
    });
    const before = Number(readFileSync(counter, 'utf8'));
    await delay(2);
    writeFileSync(counter, String(before + 1));
    await release();
  }
}
