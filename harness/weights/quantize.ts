import {type ChildProcess, spawn} from 'node:child_process';
import {open, stat, statfs, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {dirname} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {BenchError, WireErrorSchema} from '../contract/errors.ts';
import {FORMATS, type Format} from '../contract/format.ts';
import {formatBytes} from '../contract/units.ts';
import type {WeightsProgress} from '../contract/weights.ts';
import {asFileError, throwIfAborted} from './file-errors.ts';
import {prebuiltLibraryDir} from './llama-library.ts';

const KEPT_LOG_LINES = 200;

/**
 * Writes `input` in another GGUF format with llama.cpp's own quantizer, in a child process: an assertion that fails in
 * native code ends the child, not the harness. The same input, format and engine give the same bytes.
 *
 * @throws {BenchError} UNSUPPORTED (not a GGUF format), ENGINE_UNAVAILABLE (no library, or one of another version),
 * MODEL_CORRUPT (the engine refuses the input; its last line is the reason), DISK_FULL, WORKER_CRASHED, INTERRUPTED.
 * What was written so far stays for the caller to remove. `details.log` holds the end of the engine's log.
 */
export async function quantizeGguf(options: {
  /** A GGUF file with F32, F16 or BF16 weights. */
  readonly input: string;
  readonly output: string;
  readonly format: Format;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: WeightsProgress) => void;
  /** Folder of libllama and its sisters; default: the prebuilt one in node_modules. */
  readonly libraryDir?: string;
}): Promise<void> {
  const {input, output, format, threads, signal, onProgress} = options;
  const facts = FORMATS[format];
  if (!('ftype' in facts)) throw new BenchError('UNSUPPORTED', `${format}: llama.cpp writes GGUF formats only`);
  const libraryDir = options.libraryDir ?? prebuiltLibraryDir();
  if (libraryDir === null) {
    throw new BenchError(
      'ENGINE_UNAVAILABLE',
      `${format}: node-llama-cpp ships no library for ${process.platform} ${process.arch}`,
    );
  }
  throwIfAborted(signal, output);
  // Found out here, where the system still says why.
  const totalBytes = await sizeOf(input);
  await touch(output);

  const job = {libraryDir, input, output, ftype: facts.ftype, threads};
  const child = spawn(process.execPath, [...childProgram(), JSON.stringify(job)], {stdio: ['pipe', 'pipe', 'pipe']});
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, {once: true});
  try {
    const end = await follow(child, (doneBytes) =>
      onProgress({step: `quantize ${format}`, doneBytes: Math.min(doneBytes, totalBytes), totalBytes}),
    );
    throwIfAborted(signal, output);
    if (end.status !== 0) throw await explain(end, {input, output, format});
  } finally {
    signal.removeEventListener('abort', stop);
  }
  await syncFile(output);
}

interface End {
  readonly status: number | null;
  readonly killedBy: NodeJS.Signals | null;
  readonly stdout: string;
  readonly log: readonly string[];
}

/** `quantize-child.js` in a build, `quantize-child.ts` through tsx in the source tree. */
function childProgram(): string[] {
  if (!import.meta.url.endsWith('.ts')) return [fileURLToPath(new URL('./quantize-child.js', import.meta.url))];
  const loader = createRequire(import.meta.url).resolve('tsx');
  return ['--import', pathToFileURL(loader).href, fileURLToPath(new URL('./quantize-child.ts', import.meta.url))];
}

/** `[   3/  39] token_embd.weight … size = 0.50 MiB -> 0.21 MiB`: the sizes are those of the input. */
const TENSOR_LINE = /^\[\s*(\d+)\/\s*(\d+)\]/;
const TENSOR_SIZE = /size\s*=\s*([\d.]+) MiB/;

async function follow(
  child: ChildProcess & {readonly stdout: NodeJS.ReadableStream | null; readonly stderr: NodeJS.ReadableStream | null},
  onTensor: (doneBytes: number) => void,
): Promise<End> {
  const log: string[] = [];
  let stdout = '';
  let doneMebibytes = 0;
  child.stdout?.on('data', (text: Buffer) => {
    stdout += text.toString();
  });
  if (child.stderr !== null) {
    createInterface({input: child.stderr}).on('line', (line) => {
      if (line.trim() === '') return;
      log.push(line.trimEnd());
      if (log.length > KEPT_LOG_LINES) log.shift();
      if (!TENSOR_LINE.test(line)) return;
      doneMebibytes += Number(TENSOR_SIZE.exec(line)?.[1] ?? 0);
      onTensor(Math.round(doneMebibytes * 2 ** 20));
    });
  }
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, killedBy) => resolve({status, killedBy, stdout, log}));
  });
}

async function explain(
  {status, killedBy, stdout, log}: End,
  {input, output, format}: {input: string; output: string; format: Format},
): Promise<BenchError> {
  const details = {log: log.join('\n')};
  const last = log.at(-1) ?? 'it printed nothing';
  const refusal = status === 3 ? WireErrorSchema.safeParse(parseJson(stdout)) : null;
  if (refusal?.success === true) return BenchError.fromWire(refusal.data);
  if (killedBy !== null) {
    return new BenchError('WORKER_CRASHED', `${input}: the quantizer was ended by ${killedBy}: ${last}`, {details});
  }
  // The engine's streams report a full disk as nothing but "iostream error".
  if (last.includes('iostream error')) {
    const {bavail, bsize} = await statfs(dirname(output));
    const left = formatBytes(bavail * bsize);
    return new BenchError('DISK_FULL', `${output}: writing failed with ${left} free in ${dirname(output)}`, {details});
  }
  return new BenchError('MODEL_CORRUPT', `${input}: llama.cpp does not quantize it to ${format}: ${last}`, {details});
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw asFileError(error, path);
  }
}

async function touch(path: string): Promise<void> {
  try {
    await writeFile(path, '');
  } catch (error) {
    throw asFileError(error, path);
  }
}

async function syncFile(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asFileError(error, path);
  }
}
