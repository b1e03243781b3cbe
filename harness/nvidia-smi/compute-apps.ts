/** @module `--query-compute-apps`: who holds memory on the cards. */
import {parseTable} from './csv.ts';
import {readNumber, readText} from './gpu-sample.ts';

export interface ComputeApp {
  readonly gpuUuid: string;
  /** Of the host: the driver knows nothing of pid namespaces, so inside a container it names nobody there. */
  readonly pid: number;
  readonly name: string;
  /** null where the driver does not tell (`[N/A]` under Windows and in MIG). */
  readonly usedBytes: number | null;
}

/** Rows without card or pid are passed over; null when the text is no such table. Never throws. */
export function parseComputeApps(text: string): readonly ComputeApp[] | null {
  const table = parseTable(text, 'process_name');
  if (table === null || !table.fields.some(({name}) => name === 'pid')) return null;
  return table.rows.flatMap((row) => {
    const pid = readNumber(row.get('pid'), null).value;
    const gpuUuid = readText(row.get('gpu_uuid')).value;
    if (pid === null || gpuUuid === null || !Number.isSafeInteger(pid) || pid <= 0) return [];
    const used = readNumber(row.get('used_gpu_memory') ?? row.get('used_memory'), 'bytes').value;
    return [{gpuUuid, pid, name: readText(row.get('process_name')).value ?? '', usedBytes: used}];
  });
}
