import {join} from 'node:path';
import type {DeviceEntry, HostFacts} from '../contract/device.ts';
import {loadCatalogue} from '../device/catalogue.ts';
import {readHostFacts} from '../device/host-facts.ts';
import {findSoftware} from '../device/software.ts';
import {cacheDir} from '../weights/cache-dir.ts';
import type {CommandContext} from './context.ts';
import {PACKAGE_ROOT} from './package-root.ts';

export interface HostOptions {
  /** `--device`. */
  readonly forcedDevice?: string | undefined;
  /** `skip` where no cell needs PyTorch: importing it takes seconds. Default: `look`. */
  readonly pythonProbe?: 'skip' | 'look' | 'deep';
}

/** What this machine is, with the catalogue that ships with bench. */
export async function readHost(
  {env}: Pick<CommandContext, 'env'>,
  {forcedDevice, pythonProbe}: HostOptions = {},
): Promise<{readonly host: HostFacts; readonly catalogue: readonly DeviceEntry[]}> {
  const catalogue = await loadCatalogue(join(PACKAGE_ROOT, 'matrices', 'devices.yaml'));
  const software = await findSoftware(cacheDir(env), {env, ...(pythonProbe === undefined ? {} : {pythonProbe})});
  return {host: await readHostFacts({catalogue, software, forcedDevice}), catalogue};
}
