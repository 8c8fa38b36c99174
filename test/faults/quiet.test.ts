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

test('a driver that is not there leads to advice', posix, (t) => {
  const none = { VK_DRIVER_FILES: '/none', VK_ICD_FILENAMES: '/none' };
  const text = said(`explain '${scene}' --device native`, none);
  t.match(text, /^limelight: no WebGPU adapter could be opened\. Tried:\n {2}native: /);
  t.match(text, /\nTo mend it: .*driver of your GPU.*without a GPU ask for gles or swiftshader/);
  t.equal(text.trim().split('\n').length, 3, text);
  t.end();
});
