// How much memory this process may still take, as Linux says it.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Available } from '../interface.ts';

/** The text of one of the system's files; undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** The two versions of control groups: how a line of /proc/self/cgroup begins, and what the files are called. */
const groups = [
  {
    line: /^0::(\/.*)$/m,
    root: '/sys/fs/cgroup',
    limit: 'memory.max',
    usage: 'memory.current',
    cached: /^inactive_file (\d+)$/m,
  },
  {
    line: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m,
    root: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    cached: /^total_inactive_file (\d+)$/m,
  },
] as const;

/** Bytes that drivers and threads map without using them: they count for `ulimit -v` alone. */
const MAPPED = 300 * 2 ** 20;
const BY_ADDRESSES = 'ulimit -v, but for 300 MiB that drivers only map,';

/**
 * The least of what the machine has free, what the limits of this process's control groups leave (containers, systemd),
 * and what `ulimit -v` leaves. Undefined where the system says nothing of it, as outside of Linux.
 */
export function availableMemory(read: ReadText = readText): Available | undefined {
  const bounds: Available[] = [];
  const add = (bytes: number, by: string) => {
    if (Number.isFinite(bytes)) bounds.push({ bytes: Math.max(0, bytes), by });
  };
  const number = (path: string, pattern: RegExp) => Number(pattern.exec(read(path) ?? '')?.[1] ?? Number.NaN);
  add(1024 * number('/proc/meminfo', /^MemAvailable: +(\d+) kB$/m), 'the free memory of this machine');
  const taken = 1024 * number('/proc/self/status', /^VmSize:\s+(\d+) kB$/m);
  add(number('/proc/self/limits', /^Max address space +(\d+) /m) - taken - MAPPED, BY_ADDRESSES);
  const text = read('/proc/self/cgroup') ?? '';
  for (const { line, root, limit, usage, cached } of groups) {
    const path = line.exec(text)?.[1];
    if (path === undefined) continue;
    // Limits of the groups above count too; inside a container these alone may be visible.
    for (let at = path; ; at = dirname(at)) {
      const file = (name: string) => join(root, at, name);
      const used = number(file(usage), /^(\d+)$/m) - (number(file('memory.stat'), cached) || 0);
      add(number(file(limit), /^(\d+)$/m) - used, 'the memory limit of this container or control group');
      if (at === dirname(at)) break;
    }
  }
  return bounds.reduce<Available | undefined>(
    (least, bound) => (least === undefined || bound.bytes < least.bytes ? bound : least),
    undefined,
  );
}
