import {type ChildProcess, spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {createServer} from 'node:net';
import path from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import type {Cell} from '../../harness/contract/cell.ts';
import {BenchError} from '../../harness/contract/errors.ts';
import {fillPlaceholders, SERVER_SOURCE, type ServerPlaceholder} from '../../harness/contract/server.ts';
import {shortLine} from './server-words.ts';

/** Of what the server prints, this much is kept to say why it ended. */
const TAIL_CHARACTERS = 16 << 10;
/** After a connection broke, a server that died needs this long to be seen as dead. */
const DEATH_MS = 500;

const TELLING =
  /error|fail|assert|abort|exception|out of memory|bad_alloc|panic|fatal|cannot|can't|unable|invalid|unsupported|unrecognized|no such/i;
const OUT_OF_MEMORY =
  /out of memory|bad_alloc|cannot allocate memory|failed to allocate|unable to allocate|MemoryError|ENOMEM|cudaMalloc failed|No available memory for the cache blocks/i;

/** The words in braces of a command, for one cell. */
export function placeholderValues(
  cell: Cell,
  {weightsPath, port}: {weightsPath: string; port: number},
): Readonly<Record<ServerPlaceholder, string>> {
  const {settings, workload, source, format} = cell;
  const served = source.startsWith(SERVER_SOURCE) ? source.slice(SERVER_SOURCE.length) : weightsPath;
  return {
    model: served,
    port: String(port),
    format,
    concurrency: String(workload.concurrency),
    context: String(settings.contextTokens),
    context_total: String(settings.contextTokens * workload.concurrency),
    threads: String(settings.threads),
    gpu_layers: String(settings.gpuLayers),
    batch_tokens: String(settings.batchTokens),
    ubatch_tokens: String(settings.ubatchTokens),
    kv_type: settings.kvType,
  };
}

/** A port of the loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new BenchError('INTERNAL', 'a port without a number');
  return address.port;
}

export interface ServerProgram {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<ServerPlaceholder, string>>;
  /** Where `./` and `../` of the command begin. */
  readonly folder: string;
}

/**
 * A server that this worker started. It stays in the worker's process group and carries its mark, so that samplers count
 * its memory with the cell's and the harness ends it, with all that it started, when the worker ends, however that is.
 */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #name: string;
  #tail = '';
  #startError: Error | null = null;
  #ended: {readonly code: number | null; readonly signal: NodeJS.Signals | null} | null = null;

  constructor({command, env, values, folder}: ServerProgram) {
    const fill = (text: string) => fillPlaceholders(text, values);
    const place = (text: string) => (/^\.{1,2}\//.test(text) ? path.resolve(folder, text) : text);
    const [file = '', ...args] = command.map((text) => place(fill(text)));
    const added = Object.fromEntries(Object.entries(env).map(([name, text]) => [name, fill(text)]));
    this.#name = path.basename(file);
    this.#child = spawn(file, args, {env: {...process.env, ...added}, stdio: ['ignore', 'pipe', 'pipe']});
    this.#child.once('error', (error) => {
      this.#startError = error;
    });
    this.#child.once('exit', (code, signal) => {
      this.#ended = {code, signal};
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        // The log of the cell.
        process.stderr.write(bytes);
        this.#tail = (this.#tail + bytes.toString('utf8')).slice(-TAIL_CHARACTERS);
      });
    }
    // A worker that is run by itself leaves nothing behind, either.
    process.once('exit', () => this.#child.kill('SIGTERM'));
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** Libraries that the server has mapped: what code it really runs. '' where that cannot be read. */
  get maps(): string {
    try {
      return readFileSync(`/proc/${this.pid ?? 0}/maps`, 'utf8');
    } catch {
      return '';
    }
  }

  /** Why the server is no more; null while it runs. */
  get failure(): BenchError | null {
    if (this.#startError !== null) {
      return new BenchError('ENGINE_UNAVAILABLE', `cannot start ${this.#name}: ${shortLine(this.#startError.message)}`);
    }
    if (this.#ended === null) return null;
    const {code, signal} = this.#ended;
    const how = signal === null ? `exit code ${code ?? 'unknown'}` : signal;
    const said = lastWords(this.#tail);
    const lacksMemory = OUT_OF_MEMORY.test(this.#tail);
    return new BenchError(
      lacksMemory ? 'DOES_NOT_FIT' : 'WORKER_CRASHED',
      `the server ${this.#name} ended with ${how}${said === '' ? '' : `: ${said}`}`,
      {details: {exitCode: code, signal}},
    );
  }

  /** Why the server is no more, if it is about to be seen so: a broken connection comes before the news of a death. */
  async failureSoon(): Promise<BenchError | null> {
    for (let waitedMs = 0; this.failure === null && waitedMs < DEATH_MS; waitedMs += 20) await delay(20);
    return this.failure;
  }
}

function lastWords(tail: string): string {
  const lines = tail.split('\n').filter((line) => line.trim() !== '');
  return shortLine(lines.findLast((line) => TELLING.test(line)) ?? lines.at(-1) ?? '');
}
