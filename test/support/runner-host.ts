import {createRequire} from 'node:module';
import path from 'node:path';
import type {HostFacts} from '../../harness/contract/device.ts';
import {planHost} from './plan-hosts.ts';

/** A CPU host whose prebuilt llama.cpp is the one really installed, so that a launch by it runs. */
export function runnerHost(): HostFacts {
  const target = `${process.platform}-${process.arch}`;
  const main = createRequire(import.meta.url).resolve(`@node-llama-cpp/${target}`);
  const llamaPrebuiltDir = path.join(path.dirname(path.dirname(main)), 'bins', target);
  const host = planHost();
  return {...host, software: {...host.software, llamaPrebuiltDir}};
}
