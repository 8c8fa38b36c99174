// In a control group, as containers have it, and under `ulimit -v`, what does not fit is told, and never ends in a killed
// process.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'tape';
import { checkSize, DECODING_BYTES } from '../../app/image/limits.ts';
import { encodePng } from '../../app/image/png.node.ts';
import { flags, hasStack, inFolder, scene } from '../app/limelight.ts';

const root = existsSync('/sys/fs/cgroup/memory') ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
const limits = ['memory.limit_in_bytes', 'memory.max'];

/** Runs `use` with a group of so many bytes; false where none can be made. */
function withGroup(bytes: number, use: (group: string) => void): boolean {
  const group = join(root, `limelight-test-${process.pid}`);
  try {
    mkdirSync(group);
  } catch {
    return false;
  }
  try {
    const limit = limits.map((name) => join(group, name)).find(existsSync);
    if (limit === undefined) return false;
    writeFileSync(limit, String(bytes));
    use(group);
    return true;
  } finally {
    rmdirSync(group);
  }
}

const hasGroups = withGroup(2 ** 30, () => {});
const skip = hasGroups ? false : 'needs the right to make control groups';

test('a container that is too small for an explanation or a picture', { skip }, (t) =>
  inFolder((folder) => {
    const large = join(folder, 'large.png');
    writeFileSync(large, encodePng({ width: 5000, height: 5000, rgb: new Uint8Array(3 * 5000 ** 2) }));
    withGroup(700 * 2 ** 20, (group) => {
      const run = (...args: readonly string[]) =>
        spawnSync(
          'sh',
          ['-c', `echo $$ > '${group}/cgroup.procs'; exec "$@"`, 'sh', process.execPath, ...flags].concat(
            'explain',
            args,
            ['--out', join(folder, 'out')],
          ),
          { encoding: 'utf8' },
        );
      const verbose = run(scene, '--method', 'grad-cam', '--verbose');
      t.equal(verbose.status, 0, verbose.stderr);
      t.match(
        verbose.stderr,
        /^memory: \d+ MiB for tensors \(40 % of what the memory limit of this container or control group left/m,
      );
      const cases: readonly (readonly [args: readonly string[], message: RegExp])[] = [
        [
          [scene, '--size', '1600', '--method', 'grad-cam++-true,score-cam'],
          /would exceed the .*--size makes the input smaller/,
        ],
        [
          [large],
          /the picture is 5000 x 5000, for which decoding may take 1125 MB; the memory limit of this/,
        ],
      ];
      for (const [args, message] of cases) {
        const { status, signal, stderr } = run(...args);
        t.deepEqual([status, signal], [1, null], args.join(' '));
        t.match(stderr, message);
        t.notOk(hasStack(stderr));
      }
    });
  }),
);

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
const addressSpace = fileURLToPath(new URL('address-space.ts', import.meta.url));

test('ulimit -v', { skip: hasPrlimit ? false : 'needs prlimit, of util-linux' }, (t) =>
  inFolder((folder) => {
    const small = [scene, '--method', 'grad-cam', '--verbose'];
    const large = [scene, '--size', '1600', '--method', 'grad-cam++-true,score-cam'];
    const cases: readonly (readonly [ROOM: string, args: readonly string[], status: number, said: RegExp])[] =
      [
        ['300', small, 1, /^limelight: openDevice: ulimit -v, but for .* a device takes 128.0 MiB or more/m],
        ['600', small, 1, /^limelight: openDevice: ulimit -v, but for .* a device takes 128.0 MiB or more/m],
        ['1800', small, 0, /^memory: \d+ MiB for tensors \(40 % of what ulimit -v, but for/m],
        ['1800', large, 1, /would exceed the .*--size makes the input smaller/],
      ];
    for (const [ROOM, args, wanted, said] of cases) {
      const [tsx, main] = [flags.slice(0, -1), flags.slice(-1)];
      const all = [
        ...tsx,
        '--import',
        addressSpace,
        ...main,
        'explain',
        ...args,
        '--out',
        join(folder, 'out'),
      ];
      const env = { ...process.env, ROOM };
      const { status, signal, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8', env });
      t.deepEqual([status, signal], [wanted, null], `${ROOM} MB of addresses, ${args.join(' ')}`);
      t.match(stderr, said);
      t.notOk(hasStack(stderr));
    }
  }),
);

test('pictures are held to the free memory', (t) => {
  const available = { bytes: 45e6, by: 'a test' };
  checkSize(1000, 1000, DECODING_BYTES.PNG, available);
  t.throws(
    () => checkSize(1000, 1001, DECODING_BYTES.PNG, available),
    /1000 x 1001.* 46 MB; a test leaves 45 MB/,
  );
  checkSize(1000, 1001, DECODING_BYTES.PNG, undefined);
  t.end();
});
