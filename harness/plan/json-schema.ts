import {z} from 'zod';
import {MatrixSchema} from '../contract/matrix.ts';

/** The JSON schema of a matrix file, for completion and hover help in editors. Draft 7 is what YAML editors speak. */
export function matrixJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(MatrixSchema, {io: 'input', target: 'draft-7'});
  return {
    ...schema,
    title: 'Matrix of bench',
    description:
      'Models × formats × runners × kernels × devices × workloads. Generated from harness/contract/matrix.ts.',
  };
}
