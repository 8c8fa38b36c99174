// PyTorch's files against what PyTorch wrote, and files that are not what they claim.

import { existsSync, readFileSync } from 'node:fs';
import { strToU8, zipSync } from 'fflate';
import test from 'tape';
import { FormatError } from '../../models/formats/errors.ts';
import type { StateDict } from '../../models/formats/host-tensor.ts';
import { readPytorch } from '../../models/formats/pytorch/read.ts';
import { random } from '../../models/train/data/random.ts';
import { mutated } from './mutations.ts';

interface Reference {
  readonly cases: readonly {
    readonly title: string;
    readonly file: string;
    readonly tensors: Readonly<Record<string, { shape: number[]; data: number[] }>>;
  }[];
  readonly refused: readonly { readonly title: string; readonly file: string; readonly names: string }[];
}
const { cases, refused }: Reference = JSON.parse(
  readFileSync(new URL('./references/pytorch.json', import.meta.url), 'utf8'),
);
const bytesOf = (file: string) => new Uint8Array(Buffer.from(file, 'base64'));

const plain = (tensors: StateDict) =>
  Object.fromEntries([...tensors].map(([key, { shape, data }]) => [key, { shape, data: [...data] }]));

for (const { title, file, tensors } of cases) {
  test(`PyTorch: ${title}`, (t) => {
    t.deepEqual(plain(readPytorch(bytesOf(file), 'weights.pth')), tensors);
    t.end();
  });
}

test('PyTorch: what is no state dict is refused by what it names, and nothing is run', (t) => {
  for (const { title, file, names } of refused) {
    const message = new RegExp(`FormatError: weights\\.pth: .*${names.replaceAll('.', '\\.')}`);
    t.throws(() => readPytorch(bytesOf(file), 'weights.pth'), message, title);
    t.throws(
      () => readPytorch(bytesOf(file), 'weights.pth'),
      /torch\.save\(model\.state_dict\(\)/,
      'says what to do',
    );
  }
  t.notOk(existsSync('/tmp/limelight-was-here'));
  t.end();
});

/** A pickle in PyTorch's archive; storages by their keys. */
const archive = (pickle: readonly number[], storages: Readonly<Record<string, Uint8Array>> = {}, more = {}) =>
  zipSync({
    'x/data.pkl': Uint8Array.from(pickle),
    ...Object.fromEntries(Object.entries(storages).map(([key, data]) => [`x/data/${key}`, data])),
    ...more,
  });
const ascii = (text: string) => [...strToU8(text)];
const string = (text: string) => [0x8c, text.length, ...ascii(text)];
const int = (value: number) => [
  0x4a,
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];
const tuple = (...items: number[][]) => [0x28, ...items.flat(), 0x74];
const global = (name: string) => [
  0x63,
  ...ascii(`${name.slice(0, name.lastIndexOf('.'))}\n${name.slice(name.lastIndexOf('.') + 1)}\n`),
];
const storage = (count: number, type = 'torch.FloatStorage') => [
  ...tuple(string('storage'), global(type), string('0'), string('cpu'), int(count)),
  0x51,
];
const tensor = (of: number[], offset: number, shape: readonly number[], strides: readonly number[]) => [
  ...global('torch._utils._rebuild_tensor_v2'),
  ...tuple(of, int(offset), tuple(...shape.map(int)), tuple(...strides.map(int))),
  0x52,
];
const dict = (...items: number[][]) => [0x80, 2, 0x7d, 0x28, ...items.flat(), 0x75, 0x2e];
const four = { 0: new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer) };

test('PyTorch: pickles that lie', (t) => {
  const read = (bytes: Uint8Array) => plain(readPytorch(bytes, 'a.pt'));
  const w = string('w');
  const good = archive(dict(w, tensor(storage(4), 0, [2, 2], [1, 2])), four);
  t.deepEqual(read(good), { w: { shape: [2, 2], data: [1, 3, 2, 4] } }, 'what is built here is read');
  const bomb = Array.from({ length: 400 }, (_, i) => [
    ...string(`w${i}`),
    ...tensor(storage(4), 0, [4], [1]),
  ]);
  for (const [what, bytes, message] of [
    [
      'beyond the storage',
      archive(dict(w, tensor(storage(4), 1, [2, 2], [2, 1])), four),
      /does not fit into its storage/,
    ],
    ['more numbers than there are', archive(dict(w, tensor(storage(5), 0, [5], [1])), four), /not as many/],
    [
      'a storage that is missing',
      archive(dict(w, tensor(storage(4), 0, [4], [1]))),
      /numbers of .* are missing/,
    ],
    ['one number many times', archive(dict(w, tensor(storage(4), 0, [1 << 30], [0])), four), /does not fit/],
    [
      'a size of no number',
      archive(dict(w, tensor(storage(4), 0, [-1], [1])), four),
      /storage, offset, size or stride/,
    ],
    ['many tensors of few numbers', archive(dict(...bomb), { 0: four[0] }), undefined],
    [
      'a tensor of no storage',
      archive(dict(w, tensor(int(4), 0, [4], [1])), four),
      /storage, offset, size or stride/,
    ],
    ['a reference that is none', archive([0x80, 2, 0x4e, 0x51, 0x2e]), /outside that is no storage/],
    [
      'eval',
      archive(dict(w, [...global('builtins.eval'), ...tuple(string('1')), 0x52])),
      /names builtins\.eval/,
    ],
    ['getattr', archive(dict(w, global('builtins.getattr'))), /names builtins\.getattr/],
    ['an import by parts', archive([...string('os'), ...string('system'), 0x93, 0x2e]), /names os\.system/],
    ['an empty stack', archive([0x2e]), /takes more than it has/],
    ['no end', archive([0x80, 2, 0x7d]), /cut off/],
    ['a mark that was never set', archive([0x74, 0x2e]), /mark that it never set/],
    ['a memory that is none', archive([0x68, 7, 0x2e]), /recalls what it never remembered/],
    ['an unknown operation', archive([0x69, 0x2e]), /operation 0x69/],
    ['a later version', archive([0x80, 9, 0x2e]), /version 9/],
    ['TorchScript', archive(dict(), {}, { 'x/constants.pkl': Uint8Array.of(0x2e) }), /TorchScript/],
    ['big-endian', archive(dict(), {}, { 'x/byteorder': strToU8('big') }), /big-endian/],
    ['another archive', zipSync({ 'readme.txt': strToU8('hello') }), /no data\.pkl/],
    [
      'an archive that grows',
      zipSync({ 'x/data.pkl': new Uint8Array(1 << 27) }, { level: 9 }),
      /more than 20 times/,
    ],
    ['nothing', new Uint8Array(0), /neither a zip archive nor/],
    [
      'a tar archive',
      Uint8Array.from({ length: 512 }, (_, i) => 'ustar'.charCodeAt(i - 257) || 0),
      /a tar archive, as PyTorch before 0\.1\.10 wrote; a newer PyTorch reads it/,
    ],
  ] as const) {
    if (message) t.throws(() => read(bytes), message, what);
    else t.doesNotThrow(() => read(bytes), what);
    if (message) t.throws(() => read(bytes), FormatError);
  }
  // A list that holds itself, and a dict in itself.
  const itself = archive(
    [
      0x80,
      2,
      0x7d,
      0x71,
      0,
      ...w,
      0x68,
      0,
      0x73,
      ...string('v'),
      ...tensor(storage(4), 0, [4], [1]),
      0x73,
      0x2e,
    ],
    four,
  );
  t.deepEqual(Object.keys(read(itself)), ['v']);
  t.end();
});

test('PyTorch: a file cut off or changed is read rightly or refused', (t) => {
  const next = random(7);
  const strange: string[] = [];
  let [loads, refusals] = [0, 0];
  const attempt = (bytes: Uint8Array, title: string) => {
    try {
      for (const { shape, data } of readPytorch(bytes, 'fuzz.pth').values()) {
        if (shape.reduce((a, b) => a * b, 1) !== data.length) strange.push(`${title}: inconsistent`);
      }
      loads++;
    } catch (error) {
      refusals++;
      if (!(error instanceof FormatError)) strange.push(`${title}: ${error}`);
    }
  };
  for (const { title, file } of cases) {
    const bytes = bytesOf(file);
    for (let i = 0; i < 250; i++) attempt(mutated(bytes, next), title);
    for (let i = 0; i < 40; i++) attempt(bytes.subarray(0, Math.floor(next() * bytes.length)), title);
  }
  t.deepEqual(strange, []);
  t.ok(loads > 100 && refusals > 500, `${loads} loads, ${refusals} refusals`);
  t.end();
});
