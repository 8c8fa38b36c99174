// Opening parts of a network: confined to the network's folder.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { FormatError } from '../../models/formats/errors.ts';
import { partsIn } from '../../models/formats/folder.node.ts';

test('parts are opened inside the folder and nowhere else', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'limelight-parts-'));
  t.teardown(() => rmSync(base, { recursive: true }));
  const folder = join(base, 'net');
  mkdirSync(join(folder, 'shards'), { recursive: true });
  mkdirSync(join(base, 'net-other'));
  writeFileSync(join(folder, 'shards', 'a.bin'), 'a');
  writeFileSync(join(folder, '..bin'), 'b');
  writeFileSync(join(base, 'secret'), 's');
  writeFileSync(join(base, 'net-other', 'secret'), 's');
  symlinkSync(join(base, 'secret'), join(folder, 'link'));
  symlinkSync(base, join(folder, 'up'));
  symlinkSync('shards/a.bin', join(folder, 'alias'));
  const open = partsIn(folder);
  const text = async (name: string) => new TextDecoder().decode(await open(name));
  t.equal(await text('shards/a.bin'), 'a');
  t.equal(await text('./shards/a.bin'), 'a');
  t.equal(await text('alias'), 'a', 'a link that stays inside is followed');
  t.equal(await text('..bin'), 'b', 'dots may begin a name');
  const refused = [
    '',
    '..',
    '../secret',
    'shards/../../secret',
    'shards\\..\\..\\secret',
    join(base, 'secret'),
    '\\\\host\\share',
    'C:\\secret',
    'file:///etc/passwd',
    'https://example.org/a.bin',
    'a\0b',
    'link',
    'up/secret',
    'up/net-other/secret',
    'shards',
    '.',
    'missing',
  ];
  for (const name of refused) {
    const error = await open(name).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(error instanceof FormatError, `refused: ${JSON.stringify(name)}`);
  }
});
