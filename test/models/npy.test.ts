// npy: files as NumPy writes them, round trips, and every way a file can be broken.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { ShapeError } from '../../engine/errors.ts';
import { FormatError } from '../../models/formats/errors.ts';
import { readNpy, writeNpy } from '../../models/formats/npy.ts';
import { throwsFormatError } from './refused.ts';

const assets = process.env.LIMELIGHT_ASSETS;

/** A file with this header text, padded by nothing. */
function npy(header: string, data: Uint8Array = new Uint8Array(), version = [1, 0]): Uint8Array {
  const text = Buffer.from(header, 'latin1');
  const length = [text.length & 0xff, text.length >>> 8];
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    Buffer.from([...version, ...length]),
    text,
    data,
  ]);
}

const dict = (descr: string, order: string, shape: string) =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }`;

test('npy: the bytes are those that NumPy writes', (t) => {
  // numpy.save of numpy.array([[1, -2, 0.5]], '<f4')
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }".padEnd(117);
  const data = Buffer.from('0000803f000000c00000003f', 'hex');
  const expected = npy(`${header}\n`, data);
  t.equal(expected.length, 128 + 12);
  t.ok(Buffer.from(writeNpy([1, 3], Float32Array.of(1, -2, 0.5))).equals(expected));
  t.end();
});

test('npy: round trips of awkward shapes', (t) => {
  for (const shape of [[], [1], [7], [0], [2, 0, 3], [1, 1, 1, 1], [3, 5, 7], Array<number>(30).fill(1)]) {
    const data = Float32Array.from(
      { length: shape.reduce((a, b) => a * b, 1) },
      (_, i) => Math.sin(i) * 1e-3,
    );
    const bytes = writeNpy(shape, data);
    t.deepEqual(readNpy(bytes, 'a.npy'), { shape, data }, `[${shape}]`);
    t.equal((bytes.length - data.byteLength) % 64, 0, 'the data is aligned to 64 bytes');
  }
  const special = Float32Array.of(NaN, Infinity, -Infinity, -0, 1e-45);
  // Compared as bits: tape's deepEqual holds NaN to differ from itself.
  const read = readNpy(writeNpy([5], special), 'a.npy').data;
  t.deepEqual(new Uint32Array(read.buffer), new Uint32Array(special.buffer), 'special values');
  const view = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
  t.deepEqual(readNpy(writeNpy([2], view), 'a.npy').data, Float32Array.of(1, 2), 'a view of a larger array');
  t.end();
});

test('npy: reads what other writers may write', (t) => {
  const data = Uint8Array.of(0, 128, 255);
  const expected = { shape: [3], data: Float32Array.of(0, 128, 255) };
  t.deepEqual(
    readNpy(npy(dict("'|u1'", 'False', '(3,)'), data), 'a.npy'),
    expected,
    'bytes, unpadded header',
  );
  const reordered = "{'shape':(3 ,),\n 'descr' : '|u1','fortran_order':False}  \n";
  t.deepEqual(readNpy(npy(reordered, data), 'a.npy'), expected, 'another order and spacing');
  const shifted = Buffer.concat([Buffer.from('x'), writeNpy([2], Float32Array.of(3, 4))]).subarray(1);
  t.deepEqual(readNpy(shifted, 'a.npy').data, Float32Array.of(3, 4), 'at an odd address');
  const kinds: readonly (readonly [descr: string, bytes: ArrayBuffer])[] = [
    ['<f8', Float64Array.of(-1.5, 0.1).buffer],
    ['<i8', BigInt64Array.of(-2n, 3n).buffer],
    ['<i4', Int32Array.of(-2, 3).buffer],
    ['<i2', Int16Array.of(-2, 3).buffer],
    ['|i1', Int8Array.of(-2, 3).buffer],
    ['|b1', Uint8Array.of(1, 0).buffer],
    ['<f2', Uint16Array.of(0x3e00, 0xc000).buffer],
  ];
  const found = kinds.map(([descr, bytes]) => {
    const file = npy(dict(`'${descr}'`, 'False', '(2,)'), new Uint8Array(bytes));
    return [...readNpy(file, 'a.npy').data];
  });
  const expectedOfKinds = [
    [-1.5, Math.fround(0.1)],
    [-2, 3],
    [-2, 3],
    [-2, 3],
    [-2, 3],
    [1, 0],
    [1.5, -2],
  ];
  t.deepEqual(found, expectedOfKinds, 'every kind of number');
  t.end();
});

test('npy: malformed files are refused', (t) => {
  const four = new Uint8Array(4);
  const cases: [string, Uint8Array, RegExp][] = [
    ['wrong magic', Buffer.from('PK\x03\x04 and so on'), /not an npy file/],
    ['version 2.0', npy(dict("'<f4'", 'False', '(1,)'), four, [2, 0]), /version 1\.0/],
    ['big-endian', npy(dict("'>f4'", 'False', '(1,)'), four), /'>f4'; supported are '<f8', '<f4', /],
    ['complex numbers', npy(dict("'<c8'", 'False', '(1,)'), four), /'<c8'/],
    [
      'a whole number beyond float32',
      npy(dict("'<i4'", 'False', '(1,)'), Uint8Array.of(1, 0, 0, 1)),
      /is 16777217 at flat index 0, which float32 cannot represent/,
    ],
    ['pickled objects', npy(dict("'|O'", 'False', '(1,)'), four), /'\|O'/],
    ['a structured dtype', npy(dict("[('x', '<f4')]", 'False', '(1,)'), four), /not a dict/],
    ['a number for a dtype', npy(dict('False', 'False', '(1,)'), four), /dtype False/],
    ['Fortran order', npy(dict("'<f4'", 'True', '(1,)'), four), /C order/],
    ['a tuple for an order', npy(dict("'<f4'", '()', '(1,)'), four), /fortran_order is \(\)/],
    ['a negative size', npy(dict("'<f4'", 'False', '(-1,)'), four), /shape \(-1,\)/],
    ['a fraction', npy(dict("'<f4'", 'False', '(1.0,)'), four), /shape/],
    ['an inner comma', npy(dict("'<f4'", 'False', '(1,,1)'), four), /shape/],
    ['a string for a shape', npy(dict("'<f4'", 'False', "'(1,)'"), four), /shape/],
    ['an unsafe size', npy(dict("'<f4'", 'False', '(99999999999999999999,)'), four), /possible product/],
    [
      'an overflow hidden by a 0',
      npy(dict("'<f4'", 'False', '(4294967296, 4294967296, 0)')),
      /possible product/,
    ],
    ['a missing field', npy("{'descr': '<f4', 'fortran_order': False, }", four), /not a dict/],
    ['a field twice', npy("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", four), /not a dict/],
    ['a fourth field', npy(`${dict("'<f4'", 'False', '(1,)').slice(0, -1)}'x': (), }`, four), /not a dict/],
    ['text in the dict', npy(dict("'<f4'", 'False', '(1,)').replace('{', '{x '), four), /not a dict/],
    ['text around the dict', npy(`x${dict("'<f4'", 'False', '(1,)')}`, four), /not a dict/],
    ['an unclosed dict', npy(dict("'<f4'", 'False', '(1,)').slice(0, -1), four), /not a dict/],
    ['an empty header', npy('', four), /not a dict/],
    ['one brace', npy('{', four), /not a dict/],
    ['deep nesting', npy(dict("'<f4'", 'False', '('.repeat(60_000)), four), /not a dict/],
    ['digits without end', npy(dict("'<f4'", 'False', `(${'1'.repeat(60_000)}x)`), four), /shape/],
    ['too little data', npy(dict("'<f4'", 'False', '(2,)'), four), /4 bytes of data, but .* takes 8/],
    [
      'too much data',
      npy(dict("'<f4'", 'False', '()'), new Uint8Array(5)),
      /5 bytes of data, but .* takes 4/,
    ],
  ];
  for (const [what, bytes, message] of cases) {
    throwsFormatError(t, () => readNpy(bytes, 'a.npy'), message, what);
  }
  const whole = writeNpy([2], Float32Array.of(1, 2));
  const read = [...whole.keys()].filter((length) => !isRefused(whole.subarray(0, length)));
  t.deepEqual(read, [], 'a file cut at any length is refused');
  t.end();
});

test('npy: shapes that do not fit are refused on writing', (t) => {
  t.throws(() => writeNpy([2], new Float32Array(3)), ShapeError);
  t.throws(() => writeNpy([-1, -1], new Float32Array(1)), ShapeError);
  t.throws(() => writeNpy([0.5, 2], new Float32Array(1)), ShapeError);
  t.throws(() => writeNpy(Array(30_000).fill(1), new Float32Array(1)), /30000 dimensions/);
  t.end();
});

test('npy: a file that NumPy wrote', { skip: assets === undefined && 'LIMELIGHT_ASSETS is not set' }, (t) => {
  const bytes = readFileSync(join(assets!, 'cifar10_test100_u8_nhwc.npy'));
  const { shape, data } = readNpy(bytes, 'cifar10');
  t.deepEqual(shape, [100, 32, 32, 3]);
  t.deepEqual(data, Float32Array.from(bytes.subarray(-307_200)));
  t.end();
});

function isRefused(bytes: Uint8Array): boolean {
  try {
    readNpy(bytes, 'a.npy');
    return false;
  } catch (error) {
    if (error instanceof FormatError) return true;
    throw error;
  }
}
