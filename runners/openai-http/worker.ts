import {workerLife} from '../worker-kit/worker-life.ts';
import {measureServer} from './round.ts';

await workerLife((order, channel) =>
  measureServer(order, {env: process.env, now: () => performance.now(), send: (event) => channel.send(event)}),
);
