import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {sha256OfText} from '../../../harness/weights/hash-file.ts';
import {Hub, type HubSource} from '../../../harness/weights/hub.ts';
import {hubAccess} from '../../../harness/weights/hub-fetch.ts';
import {COMMIT, type HubBehaviour, sendAndDrop, sendRange, startHub} from './support/hub-server.ts';
import {CONFIG, SAFETENSORS, safetensorsBytes, tinyGguf} from './support/model-files.ts';
import {never, temporaryDir} from './support/temporary.ts';

const GGUF = tinyGguf();
const ONE: HubSource = {kind: 'hf', repo: 'org/repo', file: 'tiny.gguf', revision: null};
const FOLDER: HubSource = {...ONE, file: null};

async function setUp(behaviour: HubBehaviour, {token, idleMs = 5000}: {token?: string; idleMs?: number} = {}) {
  const server = await startHub(behaviour);
  const access = hubAccess({HF_ENDPOINT: server.url, ...(token === undefined ? {} : {HF_TOKEN: token})});
  const hub = () => new Hub({access, delaysMs: [1, 1, 1], idleMs});
  const dir = join(temporaryDir(), 'pulled');
  mkdirSync(dir);
  const pull = async (source: HubSource = ONE, signal = never, onBytes: (bytes: number) => void = () => undefined) =>
    hub().pull(source, await hub().select(source, signal), {dir, signal, onBytes});
  return {server, hub, dir, pull};
}

/** Code and line of the error, without the port. */
async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof BenchError) return `${error.code}: ${error.message.replaceAll(/127\.0\.0\.1:\d+/g, 'HUB')}`;
    throw error;
  }
  return 'accepted';
}

describe('a file', () => {
  test('is pulled at the commit that the revision means, and hashed', async () => {
    const {server, hub, dir, pull} = await setUp({files: {'tiny.gguf': GGUF, 'README.md': Buffer.from('#')}});
    expect((await hub().select({...ONE, revision: 'v1.0'}, never)).commit).toBe(COMMIT);
    expect(server.seen.some(({url}) => url.includes('/revision/v1.0?'))).toBe(true);
    const done: number[] = [];
    const [file] = await pull(ONE, never, (bytes) => done.push(bytes));
    expect(readFileSync(join(dir, 'tiny.gguf')).equals(GGUF)).toBe(true);
    expect(file).toEqual({name: 'tiny.gguf', sha256: createHash('sha256').update(GGUF).digest('hex')});
    expect(done.at(-1)).toBe(GGUF.length);
    expect(readdirSync(dir)).toEqual(['tiny.gguf']);
    expect(server.fileRequests()[0]?.url).toBe(`/org/repo/resolve/${COMMIT}/tiny.gguf`);
  });

  test('continues where a dropped connection ended', async () => {
    const {server, dir, pull} = await setUp({
      files: {'tiny.gguf': GGUF},
      file: (request, response, attempt) => {
        if (attempt > 2) return false;
        sendAndDrop(request, response, GGUF, 7000);
        return true;
      },
    });
    await pull();
    expect(readFileSync(join(dir, 'tiny.gguf')).equals(GGUF)).toBe(true);
    expect(server.fileRequests().map(({range}) => range)).toEqual([null, 'bytes=7000-', 'bytes=14000-']);
    expect(server.fileRequests()[1]?.ifRange).toMatch(/^"[0-9a-f]{64}"$/);
  });

  test('continues what another process has left', async () => {
    const faults = new Set(['down']);
    const {server, dir, pull} = await setUp({
      files: {'tiny.gguf': GGUF},
      file: (request, response, attempt) => {
        if (!faults.has('down')) return false;
        if (attempt === 1) sendAndDrop(request, response, GGUF, 9000);
        else response.writeHead(503).end();
        return true;
      },
    });
    expect(await refusal(pull())).toMatchInlineSnapshot(
      `"NETWORK: hf:org/repo/tiny.gguf: status 503 (gave up after 4 attempts in vain)"`,
    );
    expect(readdirSync(dir).sort()).toEqual(['tiny.gguf.part', 'tiny.gguf.part.json']);
    faults.clear();
    const before = server.fileRequests().length;
    await pull();
    expect(server.fileRequests()[before]?.range).toBe('bytes=9000-');
    expect(readFileSync(join(dir, 'tiny.gguf')).equals(GGUF)).toBe(true);
  });

  test('that is there already is not fetched again', async () => {
    const {server, pull} = await setUp({files: {'tiny.gguf': GGUF}});
    await pull();
    await pull();
    expect(server.fileRequests()).toHaveLength(1);
  });

  test('begins anew when what was left belongs to other bytes', async () => {
    const {server, dir, pull} = await setUp({files: {'tiny.gguf': GGUF}});
    writeFileSync(join(dir, 'tiny.gguf.part'), 'x'.repeat(100));
    writeFileSync(join(dir, 'tiny.gguf.part.json'), JSON.stringify({digest: sha256OfText('older'), etag: '"older"'}));
    await pull();
    expect(server.fileRequests()[0]?.range).toBeNull();
    expect(readFileSync(join(dir, 'tiny.gguf')).equals(GGUF)).toBe(true);
  });

  test('begins anew when the server ignores Range', async () => {
    const {server, dir, pull} = await setUp({
      files: {'tiny.gguf': GGUF},
      file: (request, response, attempt) => {
        if (attempt === 1) sendAndDrop(request, response, GGUF, 7000);
        else response.writeHead(200, {'content-length': GGUF.length}).end(GGUF);
        return true;
      },
    });
    await pull();
    expect(server.fileRequests()).toHaveLength(2);
    expect(readFileSync(join(dir, 'tiny.gguf')).equals(GGUF)).toBe(true);
  });

  test('begins anew when the ETag has changed, also for a server that ignores If-Range', async () => {
    const {server, dir, pull} = await setUp({
      files: {'tiny.gguf': GGUF},
      file: (request, response, attempt) => {
        if (attempt === 1) sendAndDrop(request, response, Buffer.from(GGUF.map((byte) => byte ^ 1)), 7000);
        else {
          delete request.headers['if-range'];
          sendRange(request, response, GGUF, '"another"');
        }
        return true;
      },
    });
    await pull();
    expect(server.fileRequests().map(({range}) => range)).toEqual([null, 'bytes=7000-', null]);
    expect(readFileSync(join(dir, 'tiny.gguf')).equals(GGUF)).toBe(true);
  });

  test('with wrong bytes is refused and removed', async () => {
    const wrong = Buffer.from(GGUF);
    wrong[1000] = 0xff;
    const {dir, pull} = await setUp({files: {'tiny.gguf': GGUF}, served: {'tiny.gguf': wrong}});
    expect(await refusal(pull())).toMatch(
      /^CHECKSUM_MISMATCH: hf:org\/repo\/tiny.gguf: SHA-256 is [0-9a-f]{64}, announced was [0-9a-f]{64}$/,
    );
    expect(readdirSync(dir)).toEqual([]);
  });

  test('with more bytes than announced is refused before it fills the disk', async () => {
    const {dir, pull} = await setUp({files: {'tiny.gguf': GGUF}, served: {'tiny.gguf': Buffer.concat([GGUF, GGUF])}});
    expect(await refusal(pull())).toBe(
      `CHECKSUM_MISMATCH: hf:org/repo/tiny.gguf: more bytes than the ${GGUF.length} announced`,
    );
    expect(readdirSync(dir)).toEqual([]);
  });

  test('with fewer bytes than announced is never taken for whole', async () => {
    const {dir, pull} = await setUp({files: {'tiny.gguf': GGUF}, served: {'tiny.gguf': GGUF.subarray(0, 5000)}});
    expect(await refusal(pull())).toContain('NETWORK: hf:org/repo/tiny.gguf: ');
    expect(existsSync(join(dir, 'tiny.gguf'))).toBe(false);
  });

  test('stops when it is told to, and keeps what it has', async () => {
    const {dir, pull} = await setUp({
      files: {'tiny.gguf': GGUF},
      file: (_request, response) => {
        response.writeHead(200, {'content-length': GGUF.length}).write(GGUF.subarray(0, 5000));
        return true;
      },
    });
    const stop = new AbortController();
    expect(await refusal(pull(ONE, stop.signal, (bytes) => bytes > 0 && stop.abort()))).toBe(
      'INTERRUPTED: hf:org/repo/tiny.gguf: interrupted',
    );
    expect(readdirSync(dir)).toContain('tiny.gguf.part');
  });

  test('is tried again when the server falls silent', async () => {
    const {server, pull} = await setUp(
      {
        files: {'tiny.gguf': GGUF},
        file: (_request, response, attempt) => {
          if (attempt > 1) return false;
          response.writeHead(200, {'content-length': GGUF.length}).write(GGUF.subarray(0, 5000));
          return true;
        },
      },
      {idleMs: 100},
    );
    await pull();
    expect(server.fileRequests()).toHaveLength(2);
  });
});

describe('the token', () => {
  test('is shown to the hub, and not to the origin it redirects to', async () => {
    const {server, dir, pull} = await setUp({files: {'tiny.gguf': GGUF}, redirect: true}, {token: 'secret-token'});
    await pull();
    expect(readFileSync(join(dir, 'tiny.gguf')).equals(GGUF)).toBe(true);
    const shown = new Set(server.seen.map(({origin, authorization}) => `${origin} ${authorization}`));
    expect([...shown].sort()).toEqual(['hub Bearer secret-token', 'storage null']);
  });

  test.each([401, 403, 404])('never appears in the line for status %i', async (apiStatus) => {
    const anonymous = await setUp({files: {}, apiStatus});
    const known = await setUp({files: {}, apiStatus}, {token: 'secret-token'});
    const lines = [await refusal(anonymous.pull()), await refusal(known.pull())];
    expect(lines).toMatchSnapshot();
    expect(lines.join()).not.toContain('secret-token');
    // No retry cures it.
    expect(anonymous.server.seen).toHaveLength(1);
  });

  test('that no header can carry, and an endpoint that is no URL, are refused', () => {
    expect(() => hubAccess({HF_TOKEN: 'a b'})).toThrow(/HF_TOKEN: holds blanks/);
    expect(() => hubAccess({HF_ENDPOINT: 'file:///etc'})).toThrow(/HF_ENDPOINT: not an http/);
    expect(() => hubAccess({HF_ENDPOINT: 'hub'})).toThrow(/HF_ENDPOINT: not an http/);
  });

  test('is refused by a gated file in one line', async () => {
    const {pull} = await setUp({
      files: {'tiny.gguf': GGUF},
      file: (_request, response) => response.writeHead(403).end().writableEnded,
    });
    expect(await refusal(pull())).toMatchInlineSnapshot(
      `"ACCESS_DENIED: hf:org/repo/tiny.gguf: the hub refuses access (403; no HF_TOKEN is set); the model is gated or private"`,
    );
  });
});

describe('a repository', () => {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const sound = {
    'config.json': json(CONFIG),
    'tokenizer.json': json({}),
    'modeling_evil.py': Buffer.from('import os'),
    'pytorch_model.bin': Buffer.from('PK'),
    'model.safetensors': safetensorsBytes(SAFETENSORS),
  };

  test('gives its safetensors, config and tokenizer, and neither code nor pickles', async () => {
    const {dir, pull} = await setUp({files: sound});
    await pull(FOLDER);
    expect(readdirSync(dir).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
  });

  test('gives the parts that its index names, not other copies of the weights', async () => {
    const part = 'model-00001-of-00001.safetensors';
    const files = {
      'config.json': json(CONFIG),
      'model.safetensors.index.json': json({weight_map: {a: part}}),
      [part]: safetensorsBytes(SAFETENSORS),
      'consolidated.safetensors': safetensorsBytes(SAFETENSORS),
    };
    const {dir, pull} = await setUp({files});
    await pull(FOLDER);
    expect(readdirSync(dir).sort()).toEqual(['config.json', part, 'model.safetensors.index.json']);
  });

  test('has small files checked by their Git id', async () => {
    const {pull} = await setUp({
      files: sound,
      served: {'config.json': Buffer.from(JSON.stringify(CONFIG).replace('64', '65'))},
    });
    expect(await refusal(pull(FOLDER))).toMatch(/^CHECKSUM_MISMATCH: hf:org\/repo\/config.json: Git blob id is /);
  });

  test.each<[string, HubBehaviour['files'], HubSource]>([
    ['with pickles only', {'pytorch_model.bin': Buffer.from('PK'), 'config.json': json({})}, FOLDER],
    ['with GGUF files only', {'a-q4.gguf': GGUF, 'b-q8.gguf': GGUF}, FOLDER],
    ['without weights', {'README.md': Buffer.from('#')}, FOLDER],
    [
      'with an index that leaves the folder',
      {'model.safetensors.index.json': json({weight_map: {a: '../../x.safetensors'}})},
      FOLDER,
    ],
    ['with names that leave the folder', {'../../model.safetensors': GGUF}, FOLDER],
    ['without the file', {'a-q4.gguf': GGUF}, ONE],
    ['asked for a pickle', {}, {...ONE, file: 'pytorch_model.bin'}],
    ['asked for another kind of file', {}, {...ONE, file: 'config.json'}],
  ])('%s is refused in one line', async (_name, files, source) => {
    const {pull} = await setUp({files});
    expect(await refusal(pull(source))).toMatchSnapshot();
  });

  test('that cannot be reached gives up with the reason', async () => {
    const hub = new Hub({access: hubAccess({HF_ENDPOINT: 'http://127.0.0.1:1'}), delaysMs: [1]});
    expect(await refusal(hub.select(ONE, never))).toMatch(
      /^NETWORK: hf:org\/repo\/tiny.gguf: .+ \(gave up after 2 attempts in vain\)$/,
    );
  });
});
