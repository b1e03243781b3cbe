import {describe, expect, test} from 'vitest';
import {findCgroup, readCgroupMemory, readCpuQuota, readOomKills} from '../../../harness/linux/cgroup.ts';
import {FakeHost} from '../../support/fake-host.ts';

function memory(name: string) {
  const host = FakeHost.load(name);
  const path = findCgroup(host, 'memory');
  return {path, memory: path === null ? null : readCgroupMemory(host, path)};
}

function quota(name: string): number | null {
  const host = FakeHost.load(name);
  const path = findCgroup(host, 'cpu');
  return path === null ? null : readCpuQuota(host, path);
}

describe('control groups', () => {
  test('version 1 is found beside an empty version 2 tree, and has no limit when the file holds the largest number', () => {
    expect(memory('kvm-zen4')).toEqual({
      path: {
        version: 1,
        folders: ['/sys/fs/cgroup/memory/sandbox/6b8d', '/sys/fs/cgroup/memory/sandbox', '/sys/fs/cgroup/memory'],
      },
      memory: {limitBytes: null, roomBytes: null},
    });
  });

  test('version 1: a limit of a folder above counts, with its reclaimable cache as free', () => {
    const gib = 2 ** 30;
    expect(memory('vm-v1').memory).toEqual({limitBytes: 8 * gib, roomBytes: 6 * gib});
    expect(quota('vm-v1')).toBe(1.5);
  });

  test('version 2 inside a container: the path begins at the mounted root', () => {
    const gib = 2 ** 30;
    expect(memory('container-v2')).toEqual({
      path: {version: 2, folders: ['/sys/fs/cgroup/worker', '/sys/fs/cgroup']},
      memory: {limitBytes: 4 * gib, roomBytes: 3 * gib},
    });
    expect(quota('container-v2')).toBe(2.5);
  });

  test('version 2 without limits has none', () => {
    expect(memory('ryzen-5800hs-laptop').memory).toEqual({limitBytes: null, roomBytes: null});
    expect(quota('ryzen-5800hs-laptop')).toBeNull();
  });

  test('a host without control groups has none', () => {
    const host = FakeHost.load('kvm-zen4').remove('/proc/self/cgroup');
    expect(findCgroup(host, 'memory')).toBeNull();
    expect(readOomKills(host)).toEqual({cgroup: null, host: 3});
    expect(readOomKills(new FakeHost())).toEqual({cgroup: null, host: null});
  });

  test('kills for want of memory are counted in both versions', () => {
    expect(readOomKills(FakeHost.load('kvm-zen4'))).toEqual({cgroup: 1, host: 3});
    expect(readOomKills(FakeHost.load('container-v2'))).toEqual({cgroup: 4, host: 3});
  });

  test('a path that climbs out of the tree stays in it', () => {
    const host = FakeHost.load('container-v2').set('/proc/self/cgroup', '0::/docker/abc123/../../etc\n');
    expect(findCgroup(host, 'memory')?.folders.every((folder) => folder.startsWith('/sys/fs/cgroup'))).toBe(true);
  });
});
