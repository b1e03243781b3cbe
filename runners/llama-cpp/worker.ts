import {workerMain} from '../worker-kit/worker-main.ts';
import {llamaProgram, readEnvironment} from './program.ts';

await workerMain((order) => llamaProgram(readEnvironment(process.env), order));
