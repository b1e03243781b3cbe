// Starts a worker that hangs with a grandchild in a session of its own, and prints its mark: tsx hang-child.ts OUT
import {runWorker} from '../../../harness/exec/worker-process.ts';
import {fixtureCell, nodeLaunch} from './fixture-cell.ts';

const [out = ''] = process.argv.slice(2);
await runWorker(
  nodeLaunch('hang-daemon'),
  {protocol: 1, cell: fixtureCell(), round: 0, weightsPath: '', promptsPath: null},
  {
    signal: new AbortController().signal,
    logPath: `${out}/worker.log`,
    logTitle: 'test',
    prepare: async ({mark}) => {
      process.stdout.write(`${mark}\n`);
      await Promise.resolve();
    },
    emit: () => {},
  },
);
