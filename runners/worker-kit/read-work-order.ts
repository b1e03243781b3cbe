import {readFileSync} from 'node:fs';
import {BenchError} from '../../harness/contract/errors.ts';
import {PROTOCOL_VERSION, type WorkOrder, WorkOrderSchema} from '../../harness/contract/protocol.ts';

/**
 * Waits for the work order on standard input and reads it to its end.
 *
 * @throws {BenchError} PROTOCOL_VIOLATION when it is not one JSON document of the version that this worker speaks.
 */
export function readWorkOrder(readText: () => string = () => readFileSync(0, 'utf8')): WorkOrder {
  const text = readText();
  const parsed = WorkOrderSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new BenchError(
    'PROTOCOL_VIOLATION',
    `work order of protocol ${PROTOCOL_VERSION} on standard input is invalid at ${issue?.path.join('.') || '(top)'}: ${issue?.message ?? ''}`,
    {cause: parsed.error},
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
