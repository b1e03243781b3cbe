import type {GpuFacts, HostFacts} from '../contract/device.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {parseTable} from '../nvidia-smi/csv.ts';
import {chooseFields, parseHelp} from '../nvidia-smi/fields.ts';
import {parseGpuList} from '../nvidia-smi/gpu-list.ts';
import {INVENTORY_FIELDS, type InventoryKey, readNumber, readText} from '../nvidia-smi/gpu-sample.ts';
import type {SmiValue} from '../nvidia-smi/value.ts';
import {parseVersion} from '../nvidia-smi/version.ts';
import {at, gpusOf, parseXml, valueAt} from '../nvidia-smi/xml.ts';
import {findNvidiaSmi, hasNvml} from '../nvml/find-nvml.ts';
import type {InventoryGpu} from '../nvml/messages.ts';
import {askNvml} from '../nvml/nvml-process.ts';
import {runNvidiaSmi, type SmiAnswer} from '../nvml/run-nvidia-smi.ts';

export interface GpuOptions {
  readonly files?: SystemFiles;
  readonly env?: NodeJS.ProcessEnv;
  /** How long the driver may take to answer one question. */
  readonly timeoutMs?: number;
}

export interface GpuReport {
  readonly gpus: readonly GpuFacts[];
  /** Why there are none, or fewer than there should be; null on a host without a driver. */
  readonly problem: NonNullable<HostFacts['gpuProblem']> | null;
}

type Problem = NonNullable<GpuReport['problem']>;

/**
 * NVIDIA GPUs as the driver reports them. Asks NVML, else nvidia-smi, each in a process of its own that is killed when it does not answer: a driver may hang. A
 * host with neither starts no process.
 */
export async function readGpuReport({
  files = systemFiles(),
  env = process.env,
  timeoutMs = 15_000,
}: GpuOptions = {}): Promise<GpuReport> {
  const problems: Problem[] = [];
  if (hasNvml(files, env)) {
    const answer = await askNvml({do: 'inventory'}, {env, timeoutMs});
    if (answer.ok && answer.message.type === 'inventory') {
      const {gpus, driver, cuda, lost} = answer.message;
      const [first] = lost;
      const problem = first === undefined ? null : {reason: lost.join(', '), fix: 'reboot; sudo dmesg | grep Xid'};
      if (gpus.length > 0 || problem !== null) return {gpus: gpus.map((gpu) => fromNvml(gpu, driver, cuda)), problem};
      problems.push({reason: 'the NVIDIA driver finds no GPU', fix: 'in a container: start it with --gpus all'});
    } else if (!answer.ok) problems.push({reason: answer.reason, fix: answer.fix});
  }
  const file = findNvidiaSmi(files, env);
  if (file === null) return {gpus: [], problem: problems[0] ?? null};
  const ask = async (...args: string[]) => await runNvidiaSmi(file, args, {env, timeoutMs});
  const {gpus, problem} = await fromNvidiaSmi(ask);
  return {gpus, problem: gpus.length > 0 ? problem : (problems[0] ?? problem)};
}

function fromNvml(gpu: InventoryGpu, driver: string, cuda: string | null): GpuFacts {
  const {migEnabled, ...facts} = gpu;
  return {...facts, driver, cuda, migMode: migEnabled === null ? null : migEnabled ? 'Enabled' : 'Disabled'};
}

type Ask = (...args: string[]) => Promise<SmiAnswer>;

async function fromNvidiaSmi(ask: Ask): Promise<GpuReport> {
  const help = await ask('--help-query-gpu');
  if (!help.ok) return {gpus: [], problem: problemOf(help)};
  const names = chooseFields(parseHelp(help.text), INVENTORY_FIELDS);
  const wanted = ['name', 'uuid', 'memoryTotalBytes'] as const;
  if (wanted.some((key) => !names.has(key))) {
    return {gpus: [], problem: {reason: 'nvidia-smi --help-query-gpu does not name the fields of a GPU', fix: null}};
  }
  const query = [...new Set(names.values())];
  const answer = await ask(`--query-gpu=${query.join(',')}`, '--format=csv,nounits');
  if (!answer.ok) return {gpus: [], problem: problemOf(answer)};
  const {fields = [], rows = []} = parseTable(answer.text) ?? {};
  if (rows.length === 0 || fields.length !== query.length) {
    const said = answer.text.split('\n').find((line) => line.trim() !== '') ?? 'nothing';
    return {gpus: [], problem: {reason: `nvidia-smi says: ${said.trim().slice(0, 200)}`, fix: null}};
  }
  // The header may spell a field otherwise than the query did, but in the same place.
  const printed = new Map([...names].map(([key, name]) => [key, fields[query.indexOf(name)]?.name ?? '']));
  const cuda = await cudaVersion(ask);
  const slowdowns = await slowdownTemperatures(ask);
  const read = rows.map((row, position) => gpuOf(row, printed, position, cuda));
  const gpus = read.filter((gpu) => gpu !== null).map((gpu) => ({...gpu, slowdownC: slowdowns.get(gpu.uuid) ?? null}));
  const withMig = gpus.some(({migMode}) => migMode === 'Enabled') ? await migInstances(ask, gpus) : gpus;
  const lost = read.length - gpus.length;
  const problem =
    lost === 0 ? null : {reason: `${lost} of ${read.length} GPUs do not answer`, fix: 'reboot; sudo dmesg | grep Xid'};
  return {gpus: withMig, problem};
}

function problemOf({reason, fix}: Problem): Problem {
  return {reason, fix};
}

function gpuOf(
  row: ReadonlyMap<string, SmiValue>,
  names: ReadonlyMap<InventoryKey, string>,
  position: number,
  cuda: string | null,
): GpuFacts | null {
  const cell = (key: InventoryKey) => row.get(names.get(key) ?? '');
  const number = (key: InventoryKey, unit: string | null) => readNumber(cell(key), unit).value;
  const text = (key: InventoryKey) => readText(cell(key)).value;
  const uuid = text('uuid');
  const name = text('name');
  const memoryBytes = number('memoryTotalBytes', 'bytes');
  if (uuid === null || name === null || memoryBytes === null) return null;
  const capability = cell('computeCapability');
  return {
    index: number('index', null) ?? position,
    uuid,
    name,
    memoryBytes,
    memoryUsedBytes: number('memoryUsedBytes', 'bytes'),
    // `9.0` reads as a number; its one decimal is a part of the name.
    computeCapability: capability?.kind === 'number' ? capability.value.toFixed(1) : null,
    driver: text('driver') ?? '',
    cuda,
    pciId: text('pciDeviceId'),
    migMode: text('migMode'),
    persistence: enabled(text('persistenceMode')),
    ecc: enabled(text('eccMode')),
    eccDefault: null,
    powerLimitW: number('powerLimitW', 'W'),
    powerDefaultLimitW: number('powerDefaultLimitW', 'W'),
    maxSmClockHz: number('maxSmClockHz', 'Hz'),
    maxMemoryClockHz: number('maxMemoryClockHz', 'Hz'),
  };
}

function enabled(text: string | null): boolean | null {
  return text === 'Enabled' ? true : text === 'Disabled' ? false : null;
}

/** `--version` is new; older drivers print the same in the head of their table. */
async function cudaVersion(ask: Ask): Promise<string | null> {
  for (const args of [['--version'], []]) {
    const answer = await ask(...args);
    const {cuda} = parseVersion(answer.ok ? answer.text : '');
    if (cuda !== null) return cuda;
  }
  return null;
}

/** By UUID. Only the XML has it; newer cards tell how far they are from it, which is another thing. */
async function slowdownTemperatures(ask: Ask): Promise<ReadonlyMap<string, number>> {
  const answer = await ask('-q', '-x');
  const log = answer.ok ? parseXml(answer.text) : null;
  const found = new Map<string, number>();
  for (const gpu of log === null ? [] : gpusOf(log)) {
    const value = valueAt(gpu, 'temperature', 'gpu_temp_slow_threshold');
    const uuid = at(gpu, 'uuid')?.text;
    if (uuid !== undefined && value.kind === 'number' && value.unit === 'C') found.set(uuid, value.value);
  }
  return found;
}

async function migInstances(ask: Ask, gpus: readonly GpuFacts[]): Promise<GpuFacts[]> {
  const answer = await ask('-L');
  const listed = answer.ok ? parseGpuList(answer.text) : [];
  return gpus.map((gpu) => ({
    ...gpu,
    mig: (listed.find(({uuid}) => uuid === gpu.uuid)?.mig ?? []).map(({uuid}) => ({uuid, memoryBytes: null})),
  }));
}
