import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';
import {Readable} from 'node:stream';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {type NvmlMessage, NvmlMessageSchema, type NvmlTask} from './messages.ts';
import {FrameSplitter, type ReadingFrame} from './reading-frames.ts';

/** How long a driver may take to start up: seconds on hosts with many cards and without persistence mode. */
export const NVML_START_MS = 15_000;
/** How long the child may be silent while it samples; it speaks every second. */
const SILENCE_MS = 3000;
/** How long the end may take before the child is killed. */
const END_MS = 1500;

export type NvmlOutcome =
  | {readonly ok: true; readonly message: NvmlMessage}
  | {readonly ok: false; readonly reason: string; readonly fix: string | null};

const REBOOT = 'the driver hangs: sudo dmesg | grep -i nvrm tells why; reboot';

/** Starts the child for one question and waits for its answer, at most for a while: a driver may hang for good. */
export async function askNvml(
  task: NvmlTask,
  {env = process.env, timeoutMs = NVML_START_MS}: {env?: NodeJS.ProcessEnv; timeoutMs?: number} = {},
): Promise<NvmlOutcome> {
  return await new Promise((resolve) => {
    const child = start(task, env);
    const end = (outcome: NvmlOutcome) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      // A process that is stuck inside the kernel cannot be killed and must not keep bench from ending.
      detach(child);
      resolve(outcome);
    };
    const timer = setTimeout(
      () => end({ok: false, reason: `NVML gave no answer within ${timeoutMs / 1000} s`, fix: REBOOT}),
      timeoutMs,
    );
    listen(child, (message) =>
      end(message.type === 'failed' ? {ok: false, reason: message.reason, fix: message.fix} : {ok: true, message}),
    );
    child.once('error', (error) => end({ok: false, reason: `NVML: ${error.message}`, fix: null}));
    child.once('exit', (status, signal) => {
      // The answer may still be on its way through the pipe.
      setTimeout(
        () => end({ok: false, reason: `NVML ended by ${signal ?? `status ${status ?? '?'}`}`, fix: null}),
        100,
      );
    });
  });
}

export interface NvmlListener {
  onMessage(message: NvmlMessage): void;
  onReadings(frame: ReadingFrame): void;
  /** Once, when no more readings will come although nobody ended the sampling. */
  onLost(reason: string): void;
}

/** Sampling of one card in a child process. A child that falls silent is taken for hung, and killed. */
export class NvmlSampling {
  readonly #child: ChildProcess;
  readonly #listener: NvmlListener;
  readonly #exited: Promise<void>;
  #watch: NodeJS.Timeout | undefined;
  #questions = 0;
  #over: boolean = false;

  constructor(
    task: Extract<NvmlTask, {do: 'sample'}>,
    listener: NvmlListener,
    {env = process.env, startMs = NVML_START_MS}: {env?: NodeJS.ProcessEnv; startMs?: number} = {},
  ) {
    this.#listener = listener;
    this.#child = start(task, env);
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.once('error', () => resolve());
    });
    this.#expect(startMs);
    const frames = new FrameSplitter();
    const aliveMs = Math.max(SILENCE_MS, 5 * task.periodMs);
    readingsOf(this.#child)?.on('data', (chunk: Buffer) => {
      if (!this.#over) this.#expect(aliveMs);
      for (const frame of frames.push(chunk)) listener.onReadings(frame);
    });
    listen(this.#child, (message) => {
      if (this.#over && message.type === 'failed') return;
      if (message.type === 'failed') this.#lose(message.reason);
      else if (!this.#over) this.#expect(aliveMs);
      if (message.type !== 'failed') listener.onMessage(message);
    });
    this.#child.once('error', (error) => this.#lose(error.message));
    this.#child.once('close', (status, signal) => this.#lose(`ended by ${signal ?? `status ${status ?? '?'}`}`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks who holds memory of the card: answered by a message `processes` with the same id. */
  askProcesses(): number {
    const id = this.#questions++;
    if (!this.#over) this.#child.stdin?.write(`${id}\n`);
    return id;
  }

  /** Readings that are under way are still delivered. Never rejects. */
  async end(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#watch);
    this.#child.stdin?.end();
    if (!(await within(this.#exited, END_MS))) {
      this.#child.kill('SIGKILL');
      await within(this.#exited, END_MS / 5);
    }
    detach(this.#child);
  }

  #expect(ms: number): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lose(`no reading for ${ms / 1000} s`), ms);
  }

  #lose(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#watch);
    this.#child.kill('SIGKILL');
    this.#listener.onLost(reason);
  }
}

function start(task: NvmlTask, env: NodeJS.ProcessEnv): ChildProcess {
  const child = spawn(process.execPath, [...childProgram(), JSON.stringify(task)], {
    env,
    // A group of its own: Ctrl-C in the terminal ends the cell first, and then this.
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
  });
  child.stdin?.on('error', () => undefined);
  return child;
}

/** `nvml-child.js` in a build, `nvml-child.ts` through tsx in the source tree. */
function childProgram(): readonly string[] {
  if (!import.meta.url.endsWith('.ts')) return [fileURLToPath(new URL('./nvml-child.js', import.meta.url))];
  const loader = createRequire(import.meta.url).resolve('tsx');
  const program = fileURLToPath(new URL('./nvml-child.ts', import.meta.url));
  return ['--import', existsSync(loader) ? pathToFileURL(loader).href : 'tsx', program];
}

function listen(child: ChildProcess, take: (message: NvmlMessage) => void): void {
  if (child.stdout === null) return;
  createInterface({input: child.stdout}).on('line', (line) => {
    const message = NvmlMessageSchema.safeParse(jsonOf(line));
    // The driver may print a line of its own to standard output.
    if (message.success) take(message.data);
  });
}

/** The child's pipe for frames. */
function readingsOf(child: ChildProcess): Readable | null {
  const pipe = child.stdio[3];
  return pipe instanceof Readable ? pipe : null;
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function detach(child: ChildProcess): void {
  child.stdin?.destroy();
  child.stdout?.destroy();
  readingsOf(child)?.destroy();
  child.unref();
}

async function within(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const done = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return done;
}
