// In a control group, as containers have it, what does not fit is told, and never ends in a killed process.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
