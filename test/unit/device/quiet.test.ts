import {describe, expect, test} from 'vitest';
import {formatCaveats} from '../../../harness/contract/caveats.ts';
import {checkQuiet} from '../../../harness/device/quiet.ts';
import {FakeHost, setHostTimes} from '../../support/fake-host.ts';

/** What a host says of itself when the given things happen within the 300 ms of the check. */
async function check(host: FakeHost, during: (host: FakeHost) => void, ownS = 0): Promise<string> {
  let nowMs = 0;
  let spentS = 0;
  const caveats = await checkQuiet({
    files: host,
    nowMs: () => nowMs,
    ownCpuS: () => spentS,
    wait: async (ms) => {
      nowMs += ms;
      spentS += ownS;
      during(host);
    },
  });
  return formatCaveats(caveats);
}

describe('the quiet check', () => {
  test('finds nothing on a quiet server', async () => {
    const host = FakeHost.load('bare-epyc-rapl');
    setHostTimes(host, {busy: 0, idle: 0, steal: 0});
    expect(await check(host, () => setHostTimes(host, {busy: 1, idle: 240, steal: 0}))).toBe('');
  });

  test('gives the load of others in cores, without its own', async () => {
    const host = FakeHost.load('bare-epyc-rapl');
    setHostTimes(host, {busy: 0, idle: 0, steal: 0});
    const busy = () => setHostTimes(host, {busy: 60, idle: 180, steal: 0});
    expect(await check(host, busy)).toBe('not-quiet=2.00-cores');
    setHostTimes(host, {busy: 0, idle: 0, steal: 0});
    expect(await check(host, busy, 0.3)).toBe('not-quiet=1.00-cores');
  });

  test('sees a hypervisor that takes time, and that there is one', async () => {
    const host = FakeHost.load('vm-v1');
    setHostTimes(host, {busy: 0, idle: 0, steal: 0});
    expect(await check(host, () => setHostTimes(host, {busy: 0, idle: 108, steal: 12}))).toBe(
      'cpu-steal=0.100 virtual=kvm',
    );
  });

  test('sees a laptop on its battery that saves power, and a host that swaps', async () => {
    const host = FakeHost.load('ryzen-5800hs-laptop');
    const swapping = () => {
      host.set('/proc/vmstat', 'pswpin 40\npswpout 2\n');
    };
    expect(await check(host, swapping)).toBe('battery governor=powersave not-quiet=42-pages-swapped');
  });

  test('without /proc it has nothing to say', async () => {
    expect(await check(new FakeHost(), () => {})).toBe('');
  });
});
