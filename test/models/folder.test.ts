// Opening parts of a network: confined to the network's folder.

import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { isNetwork, readModel } from '../../models/formats/any.ts';
import { FormatError } from '../../models/formats/errors.ts';
import { partsIn } from '../../models/formats/folder.node.ts';
import { readPart, sizeOfPart } from '../../models/formats/imported.ts';
import { modelBytes } from './onnx-file.ts';

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
  const text = async (name: string) => {
    const part = await open(name);
    return new TextDecoder().decode(await readPart(part, name, 0, sizeOfPart(part)));
  };
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

test('of a part of 6 GB only what is wanted is read', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-parts-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'w.bin');
  const at = 5e9;
  const file = openSync(path, 'w');
  writeSync(file, new Uint8Array(Float32Array.of(7).buffer), 0, 4, at);
  closeSync(file);
  truncateSync(path, 6e9);
  const bytes = modelBytes({
    inputs: [{ name: 'x', dims: [1, 1, 4, 4] }],
    outputs: ['y'],
    nodes: [
      { op: 'Mul', inputs: ['x', 'w'], outputs: ['m'] },
      { op: 'GlobalAveragePool', inputs: ['m'], outputs: ['p'] },
      { op: 'Flatten', inputs: ['p'], outputs: ['y'] },
    ],
    initializers: [
      { name: 'w', dims: [1, 1, 1, 1], external: { location: 'w.bin', offset: String(at), length: '4' } },
    ],
  });
  const model = await readModel(bytes, 'net.onnx', partsIn(folder));
  t.deepEqual(isNetwork(model) && [...model.tensors.values()].map(({ data }) => [...data]), [[7]]);
});
