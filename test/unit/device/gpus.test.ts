import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {loadCatalogue} from '../../../harness/device/catalogue.ts';
import {readGpuReport} from '../../../harness/device/gpus.ts';
import {identifyGpu} from '../../../harness/device/identity.ts';
import {systemFiles} from '../../../harness/linux/system-files.ts';
import {fakeSmiEnv, filesWithoutDriver} from '../../support/fake-gpu.ts';
import {findCompiler, makeNvmlStub, type NvmlStub, T4_SCRIPT} from '../../support/nvml-stub.ts';

const compiler = findCompiler();
const files = filesWithoutDriver();

const T4_FACTS = {
  index: 0,
  name: 'Tesla T4',
  memoryBytes: 16_106_127_360,
  computeCapability: '7.5',
  driver: '535.183.01',
  cuda: '12.2',
  pciId: '0x1EB810DE',
  persistence: true,
  ecc: true,
  powerLimitW: 70,
  powerDefaultLimitW: 70,
  maxSmClockHz: 1.59e9,
  maxMemoryClockHz: 5.001e9,
  slowdownC: 93,
};

test('a host without a driver has no GPU and nothing to complain about', async () => {
  const bare = {...systemFiles(), list: () => [], text: () => null};
  expect(await readGpuReport({files: bare, env: {PATH: '/usr/bin'}})).toEqual({gpus: [], problem: null});
});

describe('by nvidia-smi', () => {
  const read = (settings: Record<string, string> = {}, timeoutMs = 15_000) =>
    readGpuReport({files, env: fakeSmiEnv(settings), timeoutMs});

  test('a T4 is read and recognised', async () => {
    const {gpus, problem} = await read();
    expect(problem).toBeNull();
    expect(gpus).toMatchObject([T4_FACTS]);
    const [gpu] = gpus;
    const catalogue = await loadCatalogue(fileURLToPath(new URL('../../../matrices/devices.yaml', import.meta.url)));
    expect(gpu === undefined ? null : identifyGpu(gpu, catalogue)).toMatchObject({
      name: 't4',
      kind: 'cuda',
      gpuIndex: 0,
    });
  });

  test('an old driver without the newer names gives the same', async () => {
    expect((await read({FAKE_SMI_OLD: '1'})).gpus).toMatchObject([{...T4_FACTS, cuda: '12.2'}]);
  });

  test('two cards have two identities', async () => {
    const {gpus} = await read({FAKE_SMI_GPUS: '2'});
    expect(gpus.map(({index, uuid}) => `${index} ${uuid.slice(-2)}`)).toEqual(['0 00', '1 01']);
  });

  test('switched off is false, not told is null', async () => {
    const settings = 'ecc.mode.current=Disabled;persistence_mode=[N/A];power.default_limit=[Not Supported]';
    const [gpu] = (await read({FAKE_SMI_SET: settings})).gpus;
    expect(gpu).toMatchObject({ecc: false, persistence: null, powerDefaultLimitW: null});
  });

  test('a card that is lost is told', async () => {
    const lost = await read({FAKE_SMI_SET: 'memory.total=[GPU is lost]'});
    expect(lost).toEqual({
      gpus: [],
      problem: {reason: '1 of 1 GPUs do not answer', fix: 'reboot; sudo dmesg | grep Xid'},
    });
  });

  test('a driver that hangs is given up, and that is told', async () => {
    expect((await read({FAKE_SMI_MODE: 'hangs'}, 600)).problem).toEqual({
      reason: 'nvidia-smi gave no answer within 0.6 s and was killed',
      fix: 'the driver hangs: sudo dmesg | grep -i nvrm tells why; reboot',
    });
  });

  test('no devices is an answer with its words', async () => {
    expect(await read({FAKE_SMI_GPUS: '0'})).toMatchObject({gpus: [], problem: {reason: expect.any(String)}});
  });
});

describe.skipIf(compiler === null)('by NVML', () => {
  let stub: NvmlStub;
  beforeAll(() => {
    stub = makeNvmlStub(compiler);
  });
  afterAll(() => stub.remove());
  const read = (script: string, timeoutMs = 15_000) =>
    readGpuReport({files: systemFiles(), env: stub.env(T4_SCRIPT + script), timeoutMs});

  test('a T4 is read with all it tells', async () => {
    expect(await read('')).toMatchObject({gpus: [{...T4_FACTS, eccDefault: true, migMode: null}], problem: null});
  });

  test('a partitioned card has its instances', async () => {
    const script = '0 0 mig 1\n0 0 migcount 7\n0 8 uuid MIG-1\n0 8 total 10737418240\n0 8 used 0\n';
    expect((await read(script)).gpus).toMatchObject([
      {migMode: 'Enabled', mig: [{uuid: 'MIG-1', memoryBytes: 10_737_418_240}]},
    ]);
  });

  test('of two cards the one that does not answer is told', async () => {
    expect(await read('0 * count 2\n0 1 error.handle 15\n')).toMatchObject({
      gpus: [{index: 0}],
      problem: {reason: 'GPU 1: gpu is lost'},
    });
  });

  test('where NVML fails and there is no nvidia-smi, its reason is told', async () => {
    const env = {...stub.env(`${T4_SCRIPT}0 * init 18\n`), PATH: '/nowhere'};
    expect((await readGpuReport({files: systemFiles(), env})).problem).toEqual({
      reason: 'nvmlInit: driver and library have different versions',
      fix: 'reboot: the driver was updated while it was loaded',
    });
  });
});
