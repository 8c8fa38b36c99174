// Writing a file: whole, or not at all and with a reason.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { OutputError, writeWhole } from '../../app/image/write.node.ts';

const bytes = Uint8Array.of(1, 2, 3, 255);

function scratch(name: string, body: (t: Test, folder: string) => Promise<void>): void {
  test(name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'limelight-'));
    try {
      await body(t, folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

async function refused(t: Test, path: string, pattern: RegExp, what: string): Promise<void> {
  try {
    await writeWhole(path, bytes);
    t.fail(`${what}: written`);
  } catch (error) {
    t.ok(error instanceof OutputError, `${what}: OutputError (${error})`);
    t.match(String(error), pattern, `${what}: says why`);
    t.ok(String(error).includes(path), `${what}: says where`);
  }
}

scratch('writeWhole writes, replaces and creates folders', async (t, folder) => {
  const path = join(folder, 'a', 'b', 'map.png');
  await writeWhole(path, bytes);
  t.deepEqual([...readFileSync(path)], [...bytes], 'written into new folders');
  await writeWhole(path, new Uint8Array(0));
  t.equal(readFileSync(path).length, 0, 'replaced by an empty file');
  t.deepEqual(readdirSync(join(folder, 'a', 'b')), ['map.png'], 'nothing else is left');
  await Promise.all([1, 2, 3].map((value) => writeWhole(path, new Uint8Array(100_000).fill(value))));
  t.equal(new Set(readFileSync(path)).size, 1, 'writers at the same time do not mix');
});

scratch('writeWhole keeps a link and writes the file it leads to', async (t, folder) => {
  const [real, link] = [join(folder, 'real.png'), join(folder, 'link.png')];
  writeFileSync(real, 'old');
  symlinkSync(real, link);
  await writeWhole(link, bytes);
  t.deepEqual([...readFileSync(real)], [...bytes], 'the file it leads to');
  t.deepEqual(readdirSync(folder).sort(), ['link.png', 'real.png'], 'nothing else is left');
});

scratch('writeWhole says why it cannot write', async (t, folder) => {
  const [file, directory] = [join(folder, 'file'), join(folder, 'directory')];
  writeFileSync(file, 'content');
  mkdirSync(directory);
  await refused(t, directory, /folder/, 'a folder');
  await refused(t, join(file, 'map.png'), /is a file, not a folder/, 'below a file');
  await refused(t, join(file, 'deep', 'map.png'), /is a file, not a folder/, 'two levels below a file');
  await refused(t, join(directory, 'x'.repeat(300)), /name is too long/, 'a name too long');
  if (existsSync('/dev/null')) await refused(t, '/dev/null', /device/, 'a device');
  t.equal(readFileSync(file, 'utf8'), 'content', 'the file in the way is untouched');
  t.deepEqual(readdirSync(directory), [], 'nothing half-written is left');
});
