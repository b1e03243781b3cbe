/**
 * @module The process that talks to NVML. Its calls hang when the driver does and crash when the driver is broken: here
 * that ends this process and not bench.
 */
import {writeSync} from 'node:fs';
import {CommandPipe, dieWithParent, monotonicClock, pipeWriter} from './command-pipe.ts';
import {NVML_NAMES} from './find-nvml.ts';
import {failed, readInventory} from './inventory.ts';
import {type NvmlMessage, NvmlTaskSchema} from './messages.ts';
import {NvmlLibrary} from './nvml-library.ts';
import {ReadingLoop} from './reading-loop.ts';
import {NVML} from './return-codes.ts';

/** Where readings go, as frames; standard output has the rest. */
const READINGS = 3;

const task = NvmlTaskSchema.parse(JSON.parse(process.argv[2] ?? 'null'));

dieWithParent();

const nvml = load();
if (nvml !== null) {
  const code = nvml.init();
  if (code !== NVML.SUCCESS) finish(failed('nvmlInit', code));
  else if (task.do === 'inventory') finish(readInventory(nvml));
  else sample(nvml, task);
}

function sample(library: NvmlLibrary, {index, uuid, periodMs}: Extract<typeof task, {do: 'sample'}>): void {
  const byUuid = uuid === null ? null : library.handleByUuid(uuid);
  const got = byUuid?.value === undefined || byUuid.value === null ? library.handleByIndex(index) : byUuid;
  if (got.value === null) {
    finish(failed(`GPU ${index}`, got.code));
    return;
  }
  const device = got.value;
  // Of a partitioned card a program gets the first instance that it may see.
  const [instance] = library.migEnabled(device).value === true ? library.migDevices(device) : [];
  const pipe = new CommandPipe();
  const memory = instance ?? device;
  const write = pipeWriter(READINGS);
  new ReadingLoop({nvml: library, device, memory, periodMs, send, write, nowMs: monotonicClock(), pipe}).run();
  library.shutdown();
  process.exit(0);
}

function load(): NvmlLibrary | null {
  try {
    return NvmlLibrary.load(NVML_NAMES);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : '';
    finish({type: 'failed', code: null, reason: `NVML cannot be loaded: ${reason ?? ''}`, fix: null});
    return null;
  }
}

function finish(message: NvmlMessage): void {
  send(message);
  process.exit(message.type === 'failed' ? 1 : 0);
}

/** Written at once, so that nothing is lost when the next call hangs. The pipe blocks when the parent is slow. */
function send(message: NvmlMessage): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      // Cast: errors of system calls have a code. EAGAIN: the pipe is full for the moment.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') process.exit(1);
    }
  }
}
