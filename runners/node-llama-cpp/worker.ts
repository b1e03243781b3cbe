import {workerMain} from '../worker-kit/worker-main.ts';
import {nodeLlamaProgram} from './program.ts';

await workerMain((order) => nodeLlamaProgram(order, process.env['BENCH_LLAMA_DIR'] ?? ''));
