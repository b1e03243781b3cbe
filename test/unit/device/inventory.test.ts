import {expect, test} from 'vitest';
import {readInventory} from '../../../harness/device/inventory.ts';

const GIB = 1024 ** 3;

test('equal modules are counted and empty slots are none', async () => {
  const inventory = await readInventory({
    system: async () => ({manufacturer: 'LENOVO', model: '82NL'}),
    memLayout: async () => [
      {size: 8 * GIB, type: 'DDR4', clockSpeed: 3200},
      {size: 0, type: 'Empty', clockSpeed: null},
      {size: 8 * GIB, type: 'DDR4', clockSpeed: 3200},
    ],
  });
  expect(inventory).toEqual({machine: 'LENOVO 82NL', memoryModules: '2 × DDR4-3200, 8 GiB'});
});

test('what the firmware hides is null, and a source that fails does no harm', async () => {
  const hidden = await readInventory({
    system: async () => ({manufacturer: 'To be filled by O.E.M.', model: ''}),
    memLayout: async () => [{size: 4 * GIB, type: 'RAM', clockSpeed: null}],
  });
  expect(hidden).toEqual({machine: null, memoryModules: null});
  const broken = () => Promise.reject(new Error('dmidecode'));
  expect(await readInventory({system: broken, memLayout: broken})).toEqual({machine: null, memoryModules: null});
});

test('this machine can be read', async () => {
  expect(Object.keys(await readInventory())).toEqual(['machine', 'memoryModules']);
});
