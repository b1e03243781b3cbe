import {z} from 'zod';
import {BenchError} from '../contract/errors.ts';
import {loadQuantizer} from './llama-library.ts';

/** What quantize.ts hands over as the only argument, as JSON. */
const JobSchema = z.strictObject({
  libraryDir: z.string(),
  input: z.string(),
  output: z.string(),
  ftype: z.int(),
  threads: z.int().positive(),
});

/** Exit status when the library was refused: standard output then holds a WireError. */
const REFUSED = 3;

const {libraryDir, input, output, ftype, threads} = JobSchema.parse(JSON.parse(process.argv[2] ?? 'null'));

// Standard input closes when the parent dies, however it dies: nobody wants the file any more.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL')).resume();

try {
  const quantizer = loadQuantizer(libraryDir);
  const params = {...quantizer.defaultParams(), nthread: threads, ftype};
  process.exit(await quantizer.quantize(input, output, params));
} catch (error) {
  if (!(error instanceof BenchError)) throw error;
  process.stdout.write(JSON.stringify(error), () => process.exit(REFUSED));
}
