// .keras archives: every weight in its layer, and archives that are not what they claim.

import { readFileSync } from 'node:fs';
import { strToU8, unzipSync, type Zippable, zipSync } from 'fflate';
import test from 'tape';
import { FormatError } from '../../models/formats/errors.ts';
import { readKerasArchive } from '../../models/formats/keras/archive.ts';
import { random } from '../../models/train/data/random.ts';
import { mutated } from './mutations.ts';

interface Reference {
  readonly files: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, { shape: number[]; data: number[] }>>;
}
const { files, tensors }: Reference = JSON.parse(
  readFileSync(new URL('./references/keras-archive.json', import.meta.url), 'utf8'),
);
const bytesOf = (title: string) => new Uint8Array(Buffer.from(files[title]!, 'base64'));

for (const title of Object.keys(files)) {
  test(`.keras: ${title}`, async (t) => {
    const read = await readKerasArchive(bytesOf(title), 'model.keras');
    t.deepEqual(read.inputShape, [1, 3, 4, 4]);
    t.equal(read.probabilities, 'softmax');
    t.match(read.graph.output, /^scores/);
    for (const [key, { shape, data }] of Object.entries(tensors)) {
      const found = read.tensors.get(key);
      t.deepEqual(found?.shape, shape, key);
      t.deepEqual([...(found?.data ?? [])], data.map(Math.fround), key);
    }
    t.deepEqual([...read.tensors.get('inner/b.weight')!.data], [1, 1], 'a scale that the layer does without');
  });
}

async function problem(bytes: Uint8Array): Promise<unknown> {
  try {
    await readKerasArchive(bytes, 'model.keras');
    return undefined;
  } catch (error) {
    return error;
  }
}

test('.keras: archives that lie', async (t) => {
  const whole = unzipSync(bytesOf('Keras 3'));
  const without = (path: string): Zippable =>
    Object.fromEntries(Object.entries(whole).filter(([name]) => name !== path));
  const changed = (path: string, content: string | Uint8Array) =>
    zipSync({ ...whole, [path]: typeof content === 'string' ? strToU8(content) : content });
  const text = new TextDecoder().decode(whole['config.json']);
  for (const [what, bytes, message] of [
    ['no configuration', zipSync(without('config.json')), /the archive has no config\.json/],
    ['no weights', zipSync(without('model.weights.h5')), /the archive has no model\.weights\.h5/],
    ['no JSON', changed('config.json', '{'), /config\.json is not JSON/],
    ['weights that are none', changed('model.weights.h5', 'hello'), /model\.weights\.h5 is not an HDF5 file/],
    [
      'another layer',
      changed('config.json', text.replace('"units": 3', '"units": 4')),
      /scores\/kernel is \[2, 3\], expected \[2, 4\]/,
    ],
    [
      'one layer less',
      changed('config.json', text.replace('"class_name": "Dense"', '"class_name": "Danse"')),
      /Danse/,
    ],
    ['a bomb', changed('config.json', new Uint8Array(1 << 27)), /more than 20 times/],
    ['no archive', new Uint8Array(10), /zip archive is damaged/],
  ] as const) {
    const error = await problem(bytes);
    t.ok(error instanceof FormatError, `${what}: ${error}`);
    t.match(String(error), message, what);
  }
  const old = await readKerasArchive(zipSync(without('metadata.json')), 'model.keras');
  t.match(old.graph.output, /^scores/, 'metadata says no more than the version');
});

test('.keras: a file cut off or changed is read or refused', async (t) => {
  const next = random(5);
  const strange: string[] = [];
  for (let i = 0; i < 25; i++) {
    const error = await problem(mutated(bytesOf('Keras 3'), next));
    if (error !== undefined && !(error instanceof FormatError)) strange.push(String(error));
  }
  t.deepEqual(strange, []);
});
