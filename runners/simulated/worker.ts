import {workerMain} from '../worker-kit/worker-main.ts';
import {simulatedProgram} from './engine.ts';

const sleeper = new Int32Array(new SharedArrayBuffer(4));

await workerMain((order) =>
  simulatedProgram(
    order,
    {
      exit: (code) => process.exit(code),
      // Blocks until the signal arrives, so that no event is written after it.
      kill(signal) {
        process.kill(process.pid, signal);
        Atomics.wait(sleeper, 0, 0);
      },
    },
    (ms) => {
      Atomics.wait(sleeper, 0, 0, ms);
    },
  ),
);
