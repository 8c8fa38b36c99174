// How much memory may be taken, from what Linux's files say.

import test from 'tape';
import { availableMemory } from '../../engine/platform/node/available.ts';

const MiB = 2 ** 20;
const machine = { '/proc/meminfo': 'MemTotal:       16000000 kB\nMemAvailable:   8388608 kB\n' };
const v2 = { ...machine, '/proc/self/cgroup': '0::/a/b\n' };
const v1 = { ...machine, '/proc/self/cgroup': '12:cpu,cpuacct:/x\n9:memory:/docker/7\n0::/\n' };
const unlimited = 'Max address space         unlimited            unlimited            bytes\n';

const cases: Readonly<
  Record<string, readonly [files: Record<string, string>, megabytes: number | undefined, by: RegExp]>
> = {
  'nothing is said': [{}, undefined, /^$/],
  'the machine alone': [machine, 8192, /machine/],
  'no limit of the group': [
    { ...v2, '/sys/fs/cgroup/a/b/memory.max': 'max\n', '/sys/fs/cgroup/a/b/memory.current': '5\n' },
    8192,
    /machine/,
  ],
  'a group': [
    {
      ...v2,
      '/sys/fs/cgroup/a/b/memory.max': `${1200 * MiB}\n`,
      '/sys/fs/cgroup/a/b/memory.current': `${300 * MiB}\n`,
      '/sys/fs/cgroup/a/b/memory.stat': `anon 5\ninactive_file ${100 * MiB}\nactive_file 7\n`,
    },
    1000,
    /container or control group/,
  ],
  'the group above': [
    {
      ...v2,
      '/sys/fs/cgroup/a/b/memory.max': `${4000 * MiB}\n`,
      '/sys/fs/cgroup/a/b/memory.current': '0\n',
      '/sys/fs/cgroup/a/memory.max': `${900 * MiB}\n`,
      '/sys/fs/cgroup/a/memory.current': `${100 * MiB}\n`,
    },
    800,
    /group/,
  ],
  'a container, version 1, that sees its group as the root': [
    {
      ...v1,
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${500 * MiB}\n`,
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': `${200 * MiB}\n`,
      '/sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${50 * MiB}\n`,
    },
    350,
    /group/,
  ],
  'version 1 without a limit': [
    {
      ...v1,
      '/sys/fs/cgroup/memory/docker/7/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/docker/7/memory.usage_in_bytes': '4096\n',
    },
    8192,
    /machine/,
  ],
  'more than the limit is taken': [
    { ...v2, '/sys/fs/cgroup/a/memory.max': '5\n', '/sys/fs/cgroup/a/memory.current': '9\n' },
    0,
    /group/,
  ],
  'ulimit -v': [
    {
      ...machine,
      '/proc/self/limits': `Limit  Soft  Hard  Units\n${unlimited.replace('unlimited', String(4096 * MiB))}`,
      '/proc/self/status': 'VmPeak:\t 9 kB\nVmSize:\t 1048576 kB\n',
    },
    3072 - 300,
    /ulimit -v, but for 300 MiB/,
  ],
  'no ulimit -v': [
    { ...machine, '/proc/self/limits': unlimited, '/proc/self/status': 'VmSize:\t 1048576 kB\n' },
    8192,
    /machine/,
  ],
  'files that say something else': [
    { '/proc/meminfo': 'none', '/proc/self/cgroup': '0::/a', '/sys/fs/cgroup/a/memory.max': 'a lot' },
    undefined,
    /^$/,
  ],
};

for (const [about, [files, megabytes, by]] of Object.entries(cases)) {
  test(`available memory: ${about}`, (t) => {
    const found = availableMemory((path) => files[path]);
    t.equal(found && found.bytes / MiB, megabytes);
    t.match(found?.by ?? '', by);
    t.end();
  });
}

test('available memory: of this machine', { skip: process.platform !== 'linux' }, (t) => {
  t.ok(availableMemory()!.bytes > 0);
  t.end();
});
