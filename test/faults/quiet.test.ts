// What drivers print by themselves stays off the terminal, what the program says does not.

import { spawnSync } from 'node:child_process';
import test from 'tape';
import { flags, inFolder, scene } from '../app/limelight.ts';

const program = [process.execPath, ...flags].map((part) => `'${part}'`).join(' ');
const posix = { skip: process.platform === 'linux' ? false : 'native code is made quiet on Linux' };

/** What is said on stderr, which is a pipe of the shell's. */
function said(args: string, env: NodeJS.ProcessEnv = {}): string {
  const script = `${program} ${args} 2>&1 >/dev/null | cat`;
  return spawnSync('sh', ['-c', script], { encoding: 'utf8', env: { ...process.env, ...env } }).stdout;
}

test('a device opens without a word of its driver, unless --verbose', posix, (t) =>
  inFolder((out) => {
    const explain = `explain '${scene}' --method grad-cam --out '${out}'`;
    const quiet = said(explain).split('\n').filter(Boolean);
    t.equal(quiet.length, 2, quiet.join(' / '));
    t.match(quiet[0]!, /^device: /, 'the program is heard afterwards');
    const verbose = said(`${explain} --verbose`);
    t.match(verbose, /^memory: \d+ MiB for tensors \(.+\), \d+ MiB for one$/m);
    t.ok(verbose.includes(quiet[0]!), 'as before');
  }),
);

test(
  'the library is as quiet, keeps what JavaScript says meanwhile, and opens several devices at once',
  posix,
  (t) => {
    const script = `
    import { closeDevice, openDevice } from '${new URL('../../engine/index.ts', import.meta.url)}';
    const opening = [openDevice(), openDevice()];
    console.error('meanwhile');
    for (const device of await Promise.all(opening)) closeDevice(device);
    console.error('afterwards');
    if (process.argv.includes('loud')) closeDevice(await openDevice({ verbose: true }));
  `;
    const program = `'${process.execPath}' --conditions=source --import tsx --input-type=module -e '${script.replaceAll("'", '"')}'`;
    const lines = (more = '') =>
      spawnSync('sh', ['-c', `${program} ${more} 2>&1 >/dev/null | cat`], { encoding: 'utf8' })
        .stdout.split('\n')
        .filter(Boolean);
    t.deepEqual(lines(), ['meanwhile', 'afterwards']);
    t.deepEqual(
      lines('loud').slice(0, 2),
      ['meanwhile', 'afterwards'],
      'the same before it is asked for more',
    );
    t.end();
  },
);

test('a driver that is not there leads to advice', posix, (t) => {
  const none = { VK_DRIVER_FILES: '/none', VK_ICD_FILENAMES: '/none' };
  const text = said(`explain '${scene}' --device native`, none);
  t.match(text, /^limelight: no WebGPU adapter could be opened\. Tried:\n {2}native: /);
  t.match(text, /\nTo mend it: .*driver of your GPU.*without a GPU ask for gles or swiftshader/);
  t.equal(text.trim().split('\n').length, 3, text);
  t.end();
});
