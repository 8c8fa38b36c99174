// Imported before a program: bounds the addresses of its process, as `ulimit -v` does, to so many megabytes (ROOM) more
// than it has taken when it begins. A limit that the process starts with would end Node itself.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const taken = Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
const bytes = Math.round((taken + Number(process.env.ROOM)) * 2 ** 20);
const { status, stderr } = spawnSync('prlimit', ['--pid', String(process.pid), `--as=${bytes}`]);
if (status !== 0) throw new Error(`prlimit: ${stderr}`);
