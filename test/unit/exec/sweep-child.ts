// Runs a sweep in a process of its own, to be killed: tsx sweep-child.ts OUT LOCKS
import {acquireHostLock} from '../../../harness/exec/host-lock.ts';
import {runSweep} from '../../../harness/exec/sweep.ts';
import {fixtureInput, fixturePlan, modeCell, planned} from './fixture-sweep.ts';

const [out = '', locks = ''] = process.argv.slice(2);
const stop = {...modeCell(1, 'slow').stop, minRequests: 30};
const cells = [1, 2, 3].map((index) => planned(modeCell(index, 'slow', {stop})));
const lock = await acquireHostLock(locks, {matrix: 'fixture'});
await runSweep(await fixtureInput(out, fixturePlan(cells), {lock}));
await lock.release();
process.stdout.write('finished\n');
