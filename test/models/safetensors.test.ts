// safetensors: bytes as the official implementation writes them, exact 16-bit floats, and every way a file
// can be broken or lie.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { ShapeError } from '../../engine/errors.ts';
import { floatToHalf } from '../../engine/half.ts';
import { FormatError } from '../../models/formats/errors.ts';
import type { HostTensor, StateDict } from '../../models/formats/host-tensor.ts';
import {
  assertFinite,
  readSafetensors,
  type SafetensorsOptions,
  writeSafetensors,
} from '../../models/formats/safetensors.ts';
import { seededRandom } from '../reference/index.ts';
import { throwsFormatError } from './refused.ts';

const assets = process.env.LIMELIGHT_ASSETS;
const F32: SafetensorsOptions = { dtype: 'F32' };
const F16: SafetensorsOptions = { dtype: 'F16' };

test('safetensors: the bytes are those of the official implementation', (t) => {
  const file = (n: number, header: string, data = '') => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(n));
    return Buffer.concat([length, Buffer.from(header), Buffer.from(data, 'hex')]);
  };
  const written = (...args: Parameters<typeof writeSafetensors>) => Buffer.from(writeSafetensors(...args));
  t.ok(written([], F32).equals(file(8, '{}      ')), 'no tensors');
  t.ok(
    written([], { dtype: 'F32', metadata: new Map([['framework', 'pt']]) }).equals(
      file(40, '{"__metadata__":{"framework":"pt"}}     '),
    ),
    'metadata alone',
  );
  const shape = [1, 2, 3];
  const data = Float32Array.of(0, 1, 2, 3, 4, 5);
  t.ok(
    written([['attn.0', { shape, data }]], F32).equals(
      file(
        64,
        '{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}',
        '000000000000803f0000004000004040000080400000a040',
      ),
    ),
    'a tensor whose header needs no padding',
  );
  t.ok(
    written([['h', { shape, data }]], F16).equals(
      file(
        64,
        '{"h":{"dtype":"F16","shape":[1,2,3],"data_offsets":[0,12]}}     ',
        '0000003c0040004200440045',
      ),
    ),
    'a tensor in half precision',
  );
  t.end();
});

test('safetensors: round trips', (t) => {
  const tensors = new Map<string, HostTensor>([
    ['b.weight', tensor([2, 3, 1, 5], (i) => Math.sin(i))],
    ['scalar', tensor([], () => -0)],
    ['b.empty', tensor([3, 0, 2], () => 1)],
    ['a', tensor([7], (i) => 2 ** -(20 * i))],
    ['10', tensor([1], () => NaN)],
    ['9', tensor([1], () => -Infinity)],
    ['__proto__', tensor([1], () => 4)],
    ['constructor', tensor([1], () => 5)],
    ['', tensor([1, 1], () => 6)],
    ['quote " \\ \n [{:,é\u{1f600}', tensor([1], () => 7)],
  ]);
  const metadata = new Map([
    ['__proto__', 'x'],
    ['notes', '":{[\\" é'],
  ]);
  const bytes = writeSafetensors(tensors, { dtype: 'F32', metadata });
  const read = readSafetensors(bytes, 'a');
  t.deepEqual([...read.tensors.keys()], [...tensors.keys()].sort(), 'in the order of their names');
  t.deepEqual(asBits(read.tensors), asBits(tensors), 'shapes and bits');
  t.deepEqual(read.metadata, metadata, 'metadata');
  t.equal(({} as { dtype?: unknown }).dtype, undefined, 'Object.prototype is as it was');

  const reversed = writeSafetensors([...tensors].reverse(), {
    dtype: 'F32',
    metadata: new Map([...metadata].reverse()),
  });
  t.ok(Buffer.from(reversed).equals(bytes), 'the bytes do not depend on the order given');

  const view = { shape: [2], data: Float32Array.of(9, 1, 2, 9).subarray(1, 3) };
  for (const options of [F32, F16]) {
    const { data } = readSafetensors(writeSafetensors([['v', view]], options), 'v').tensors.get('v')!;
    t.deepEqual(data, Float32Array.of(1, 2), `a view of a larger array, ${options.dtype}`);
  }
  t.end();
});

test('safetensors: aligned F32 is not copied, unaligned F32 only by itself', (t) => {
  const written = writeSafetensors([['a', tensor([3], (i) => i + 0.5)]], F32);
  const aligned = readSafetensors(written, 'a').tensors.get('a')!.data;
  t.equal(aligned.buffer, written.buffer, 'a view');

  for (const shift of [1, 2, 3]) {
    const large = Buffer.alloc(written.length + 100);
    const { data } = readSafetensors(shifted(written, large, shift), 'a').tensors.get('a')!;
    t.deepEqual(data, aligned, `at address ${shift} modulo 4`);
    t.equal(data.buffer.byteLength, 12, 'a copy of these three values alone');
  }
  const typed = new Uint8Array(shifted(written, Buffer.alloc(written.length + 4), 0));
  t.deepEqual(readSafetensors(typed, 'a').tensors.get('a')!.data, aligned, 'a plain Uint8Array');
  t.end();
});

test('safetensors: all 65536 halves are read and written exactly', (t) => {
  const patterns = Uint16Array.from({ length: 65_536 }, (_, i) => i);
  const bytes = file({ h: entry('F16', [65_536], 0, 131_072) }, Buffer.from(patterns.buffer));
  const read = readSafetensors(bytes, 'h').tensors.get('h')!.data;
  t.deepEqual(
    patterns.filter((half) => !Object.is(read[half], half16(half))),
    new Uint16Array(),
    'read',
  );
  const data = writeSafetensors([['h', { shape: [65_536], data: read }]], F16).subarray(-131_072);
  const written = new Uint16Array(data.slice().buffer);
  t.deepEqual(
    patterns.filter((half) =>
      Number.isNaN(read[half]!) ? !Number.isNaN(half16(written[half]!)) : written[half] !== half,
    ),
    new Uint16Array(),
    'written',
  );
  t.end();
});

test('safetensors: halves are rounded to nearest, ties to even', (t) => {
  const wrong: number[] = [];
  const check = (value: number, expected: number) => {
    if (floatToHalf(value) !== expected) wrong.push(value);
    if (floatToHalf(-value) !== (expected | 0x8000)) wrong.push(-value);
  };
  // Between each two neighbours: halfway, which float32 represents, and the float32s beside it. The half after
  // the largest finite one is infinity, in the place of 65536.
  for (let half = 0; half < 0x7c00; half++) {
    const next = half === 0x7bff ? 65_536 : half16(half + 1);
    const middle = (half16(half) + next) / 2;
    check(middle, half + (half % 2));
    check(neighbour(middle, -1), half);
    check(neighbour(middle, 1), half + 1);
  }
  check(1e-45, 0);
  check(3e38, 0x7c00);
  check(Infinity, 0x7c00);
  t.deepEqual(wrong, []);
  t.ok(Number.isNaN(half16(floatToHalf(NaN))), 'NaN');

  const largest = { shape: [1], data: Float32Array.of(neighbour(65_520, -1)) };
  t.deepEqual(
    readSafetensors(writeSafetensors([['w', largest]], F16), 'w').tensors.get('w')!.data,
    Float32Array.of(65_504),
    'the largest value that still rounds to a finite half',
  );
  const overflow = { shape: [2], data: Float32Array.of(1, -65_520) };
  throwsFormatError(
    t,
    () => writeSafetensors([['big.w', overflow]], F16),
    /"big\.w" is -65520 at flat index 1/,
    'overflow',
  );
  t.end();
});

test('safetensors: all 65536 bfloats are read exactly', (t) => {
  const patterns = Uint16Array.from({ length: 65_536 }, (_, i) => i);
  const bytes = file({ b: entry('BF16', [256, 256], 0, 131_072) }, Buffer.from(patterns.buffer));
  const { shape, data } = readSafetensors(bytes, 'b').tensors.get('b')!;
  t.deepEqual(shape, [256, 256]);
  t.deepEqual(
    patterns.filter((bits) => !Object.is(data[bits], small(bits, 8, 7))),
    new Uint16Array(),
  );
  t.end();
});

test('safetensors: integers and doubles are read where float32 represents them', (t) => {
  const read = (dtype: string, array: ArrayBufferView & { readonly length: number }) =>
    readSafetensors(
      file({ n: entry(dtype, [array.length], 0, array.byteLength) }, Buffer.from(array.buffer)),
      'n.safetensors',
    ).tensors.get('n')!.data;
  const far = 2 ** 40;
  t.deepEqual(
    read('I64', BigInt64Array.of(0n, -5n, 2n ** 40n, -(2n ** 63n))),
    Float32Array.of(0, -5, far, -(2 ** 63)),
  );
  t.deepEqual(
    read('I32', Int32Array.of(0, -5, 2 ** 24, -(2 ** 31))),
    Float32Array.of(0, -5, 2 ** 24, -(2 ** 31)),
  );
  t.deepEqual(read('U8', Uint8Array.of(0, 128, 255)), Float32Array.of(0, 128, 255));
  t.deepEqual(read('U16', Uint16Array.of(0, 256, 65_535)), Float32Array.of(0, 256, 65_535));
  t.deepEqual(read('U32', Uint32Array.of(0, 2 ** 31)), Float32Array.of(0, 2 ** 31));
  t.deepEqual(read('U64', BigUint64Array.of(0n, 2n ** 63n)), Float32Array.of(0, 2 ** 63));
  t.deepEqual(
    read('F64', Float64Array.of(0.5, -Infinity, 2 ** -149)),
    Float32Array.of(0.5, -Infinity, 2 ** -149),
  );
  t.ok(Number.isNaN(read('F64', Float64Array.of(NaN))[0]!), 'NaN');

  const inexact = (value: string) =>
    new RegExp(`n\\.safetensors: tensor "n" is ${value} at flat index 1, which float32`);
  throwsFormatError(t, () => read('I64', BigInt64Array.of(0n, 2n ** 24n + 1n)), inexact('16777217'), 'I64');
  throwsFormatError(
    t,
    () => read('I64', BigInt64Array.of(0n, 2n ** 63n - 1n)),
    inexact('9223372036854775807'),
    'large I64',
  );
  throwsFormatError(t, () => read('I32', Int32Array.of(0, -(2 ** 24) - 1)), inexact('-16777217'), 'I32');
  t.deepEqual(read('F64', Float64Array.of(0.1, 1e-50)), Float32Array.of(0.1, 0), 'doubles are rounded');
  throwsFormatError(
    t,
    () => read('F64', Float64Array.of(0, 1e300)),
    inexact('1e\\+300'),
    'F64 beyond float32',
  );
  t.end();
});

test('safetensors: what the format allows is read', (t) => {
  const data = Buffer.alloc(8);
  data.writeFloatLE(2, 4);
  const swapped = {
    second: entry('F32', [1], 4, 8),
    first: entry('F32', [], 0, 4),
    none: entry('F32', [0], 4, 4),
  };
  const { tensors, metadata } = readSafetensors(file(swapped, data), 'a');
  t.deepEqual(
    [...tensors],
    [
      ['first', { shape: [], data: Float32Array.of(0) }],
      ['none', { shape: [0], data: new Float32Array() }],
      ['second', { shape: [1], data: Float32Array.of(2) }],
    ],
    'a header in another order than the data, and an empty tensor between',
  );
  t.equal(metadata.size, 0, 'no metadata');
  t.equal(readSafetensors(file({ __metadata__: null }), 'a').metadata.size, 0, 'null for metadata');
  t.equal(readSafetensors(file(' { } '.trimStart()), 'a').tensors.size, 0, 'spaces');
  const extra = { a: { ...entry('F32', [1], 0, 4), note: 'x' } };
  t.equal(
    readSafetensors(file(extra, Buffer.alloc(4)), 'a').tensors.size,
    1,
    'a field that the format lacks',
  );
  // JSON.parse makes __proto__ an own property; a plain assignment would make it the prototype.
  const proto = readSafetensors(
    file('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', Buffer.alloc(4)),
    'a',
  );
  t.deepEqual([...proto.tensors.keys()], ['__proto__'], '__proto__ is a name like any other');
  t.end();
});

test('safetensors: malformed files are refused', (t) => {
  const four = Buffer.alloc(4);
  const one = (value: unknown, data = four) => file({ w: value }, data);
  const lengthOnly = (length: bigint, rest: number) => {
    const bytes = new Uint8Array(8 + rest);
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };
  const open = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]';
  const cases: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(), /^a\.safetensors: 0 bytes are too few/],
    ['no header', lengthOnly(0n, 4), /does not start with '\{'/],
    ['the largest header length', lengthOnly(2n ** 64n - 1n, 100), /claims 18446744073709551615 bytes/],
    ['a header length of 2^63', lengthOnly(2n ** 63n, 100), /claims 9223372036854775808 bytes/],
    ['a header one byte longer than the file', lengthOnly(5n, 4), /claims 5 bytes; the file has 4/],
    ['a header above 100 MB', lengthOnly(100_000_001n, 100_000_001), /at most 100000000/],
    ['a zip file', Buffer.from('PK\x03\x04\0\0\0\0 and so on'), /claims/],

    ['not JSON', file('{not json}'), /not valid UTF-8 JSON/],
    ['not UTF-8', file(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), /not valid UTF-8 JSON/],
    ['a byte order mark', file('\ufeff{}'), /does not start/],
    ['a leading space', file(' {}'), /does not start/],
    ['trailing text', file('{} x'), /not valid UTF-8 JSON/],
    ['an unclosed string', file('{"abc'), /not valid UTF-8 JSON/],
    ['a string that ends in a backslash', file('{"abc\\'), /not valid UTF-8 JSON/],
    ['a colon without a key', file('{:1}'), /not valid UTF-8 JSON/],
    ['too many closing brackets', file('{}]]]]}}'), /not valid UTF-8 JSON/],
    ['an array', file('[]'), /does not start/],
    ['null', file('null'), /does not start/],
    ['a string', file('"x"'), /does not start/],

    ['a million open brackets', file(`{"a":${'['.repeat(1e6)}`), /nests deeper than/],
    ['a million open objects', file('{"a":'.repeat(1e6)), /nests deeper than/],
    ['deep nesting that is closed', file(`{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`), /nests deeper than/],
    ['deep nesting of objects', file(`${'{"a":'.repeat(1e5)}1${'}'.repeat(1e5)}`), /nests deeper than/],
    ['deep nesting in the metadata', file(`{"__metadata__":{"a":[[${']'.repeat(2)}}}`), /nests deeper than/],
    [
      'a tensor inside its own shape',
      one(entry('F32', [entry('F32', [1], 0, 4)], 0, 4)),
      /nests deeper than/,
    ],

    ['a tensor twice', file(`{"w":${open}},"w":${open}}}`, four), /the key "w" twice/],
    ['a tensor twice, once escaped', file(`{"w":${open}},"\\u0077":${open}}}`, four), /the key "w" twice/],
    ['a field twice', file(`{"w":${open},"shape":[1]}}`, four), /the key "shape" twice/],
    ['metadata twice', file('{"__metadata__":{},"__metadata__":{}}'), /the key "__metadata__" twice/],
    ['__proto__ twice', file('{"__proto__":1,"__proto__":2}'), /the key "__proto__" twice/],
    [
      'a dtype that only __proto__ has',
      file('{"w":{"__proto__":{"dtype":"F32"},"shape":[1],"data_offsets":[0,4]}}', four),
      /"w" has dtype missing/,
    ],

    ['metadata that is a list', file({ __metadata__: ['x'] }), /__metadata__ is \["x"\]/],
    ['metadata that is a number', file({ __metadata__: 3 }), /__metadata__ is 3/],
    ['metadata of numbers', file({ __metadata__: { epoch: 3 } }), /__metadata__ has 3 under "epoch"/],

    ['a tensor that is null', one(null), /tensor "w" is null in the header/],
    ['a tensor that is a list', one([]), /tensor "w" is \[\]/],
    ['a tensor that is a number', one(1), /tensor "w" is 1/],
    [
      'no dtype',
      one({ shape: [1], data_offsets: [0, 4] }),
      /dtype missing; supported are F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL/,
    ],
    ['an unsupported dtype', one(entry('F8_E4M3', [4], 0, 4)), /dtype "F8_E4M3"; supported are F64/],
    ['a dtype of the wrong case', one(entry('f32', [1], 0, 4)), /dtype "f32"/],
    ['a dtype named like a method', one(entry('toString', [1], 0, 4)), /dtype "toString"/],
    ['a dtype that is a number', one(entry(32, [1], 0, 4)), /dtype 32/],

    ['no shape', one({ dtype: 'F32', data_offsets: [0, 4] }), /shape missing/],
    ['a shape that is a number', one(entry('F32', 1, 0, 4)), /shape 1;/],
    ['a shape that is an object', one(entry('F32', { length: 1, 0: 1 }, 0, 4)), /shape \{/],
    ['a negative size', one(entry('F32', [-1], 0, 4)), /shape \[-1\]/],
    ['two negative sizes', one(entry('F32', [-1, -1], 0, 4)), /shape \[-1,-1\]/],
    ['a negative zero', file('{"w":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'), /shape \[0\]/],
    ['a fraction', one(entry('F32', [0.5, 2], 0, 4)), /shape \[0\.5,2\]/],
    ['a size in quotes', one(entry('F32', ['1'], 0, 4)), /shape \["1"\]/],
    ['an infinite size', file('{"w":{"dtype":"F32","shape":[1e999],"data_offsets":[0,0]}}'), /shape/],
    ['an unsafe size', one(entry('U8', [2 ** 53], 0, 4)), /shape \[9007199254740992\]/],
    ['an overflowing product', one(entry('U8', [2 ** 30, 2 ** 30], 0, 4)), /shape/],
    ['an overflow hidden by a 0', one(entry('U8', [2 ** 30, 2 ** 30, 0], 0, 0), Buffer.alloc(0)), /shape/],
    ['an overflow of the bytes', one(entry('F64', [2 ** 51], 0, 4)), /takes 18014398509481984/],
    ['a product that wraps to 1 in 64 bits', one(entry('F32', [2 ** 32 + 1, 2 ** 32 - 1], 0, 4)), /shape/],

    ['no offsets', one({ dtype: 'F32', shape: [1] }), /data_offsets missing/],
    ['one offset', one({ dtype: 'F32', shape: [1], data_offsets: [0] }), /data_offsets \[0\]/],
    ['three offsets', one({ dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] }), /data_offsets \[0,4,8\]/],
    ['offsets that are strings', one(entry('F32', [1], '0', '4')), /data_offsets \["0","4"\]/],
    ['reversed offsets', one(entry('F32', [1], 4, 0)), /data_offsets \[4,0\]/],
    ['a negative offset', one(entry('F32', [1], -4, 0)), /data_offsets \[-4,0\]/],
    ['a fractional offset', one(entry('F32', [1], 0.5, 4.5)), /data_offsets/],
    ['unsafe offsets', one(entry('F32', [1], 2 ** 53, 2 ** 53 + 4)), /data_offsets/],

    [
      'too few bytes for the shape',
      one(entry('F32', [2], 0, 4)),
      /4 bytes of data, but F32 of shape \[2\] takes 8/,
    ],
    [
      'too many bytes for the shape',
      one(entry('F16', [1], 0, 4)),
      /4 bytes of data, but F16 of shape \[1\] takes 2/,
    ],
    [
      'data beyond the file',
      one(entry('F32', [2 ** 40], 0, 2 ** 42)),
      /take 4398046511104 bytes .* holds 4; it is trunc/,
    ],
    [
      'unused data at the end',
      one(entry('F32', [1], 0, 4), Buffer.alloc(5)),
      /take 4 bytes .* holds 5; something/,
    ],
    ['data without tensors', file('{}', four), /take 0 bytes/],
    ['a hole at the start', one(entry('F32', [1], 4, 8), Buffer.alloc(8)), /starts at byte 4 .* end at 0/],
    [
      'a hole',
      file({ a: entry('F32', [1], 0, 4), b: entry('F32', [1], 8, 12) }, Buffer.alloc(12)),
      /"b" starts at byte 8 of the data, but the tensors before it end at 4/,
    ],
    [
      'an overlap',
      file({ a: entry('F32', [2], 0, 8), b: entry('F32', [2], 4, 12) }, Buffer.alloc(12)),
      /"b" starts at byte 4 of the data, but the tensors before it end at 8/,
    ],
    [
      'two tensors on the same data',
      file({ a: entry('F32', [1], 0, 4), b: entry('F32', [1], 0, 4) }, Buffer.alloc(4)),
      /"b" starts at byte 0/,
    ],
    [
      'an empty tensor inside another',
      file({ a: entry('F32', [2], 0, 8), b: entry('F32', [0], 4, 4) }, Buffer.alloc(8)),
      /"b" starts at byte 4/,
    ],
    ['a name too long for a message', file({ ['x'.repeat(1e6)]: null }), /^.{1,400}$/],
  ];
  for (const [what, bytes, message] of cases) {
    throwsFormatError(t, () => readSafetensors(bytes, 'a.safetensors'), message, what);
  }
  t.end();
});

test('safetensors: a file cut at any length is refused', (t) => {
  const whole = mixedFile();
  t.doesNotThrow(() => readSafetensors(whole, 'a'));
  const read = [...whole.keys()].filter((length) => attempt(whole.subarray(0, length)) !== undefined);
  t.deepEqual(read, []);
  t.end();
});

test('safetensors: a damaged file is refused or read as it stands', (t) => {
  const random = seededRandom(20_240_607);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const whole = mixedFile();
  const dataStart = 8 + Number(whole.readBigUInt64LE());
  const header = whole.subarray(8, dataStart).toString();
  const data = whole.subarray(dataStart);
  const nasty = [
    '0',
    '-1',
    '1',
    '4',
    '1e3',
    '1e999',
    'null',
    '[]',
    '{}',
    '""',
    '"F32"',
    '9007199254740993',
    '[0,4]',
  ];

  const mutations: (() => Uint8Array)[] = [
    // Any byte of the file.
    () => {
      const bytes = Buffer.from(whole);
      for (let n = pick([1, 2, 8]); n > 0; n--) bytes[Math.floor(random() * bytes.length)] = random() * 256;
      return bytes;
    },
    // One byte of the data: readable, except where an integer or a double becomes inexact.
    () => {
      const bytes = Buffer.from(whole);
      bytes[dataStart + Math.floor(random() * data.length)] = random() * 256;
      return bytes;
    },
    // A character of the header.
    () => {
      const at = Math.floor(random() * header.length);
      const char = pick([...'0123456789{}[]",:\\- e.F']);
      return file(header.slice(0, at) + char + header.slice(at + pick([0, 1])), data);
    },
    // A piece of the header removed or repeated.
    () => {
      const [a, b, c] = [random(), random(), random()].map((at) => Math.floor(at * header.length));
      return file(header.slice(0, a) + header.slice(b, pick([b!, c!])) + header.slice(pick([a!, c!])), data);
    },
    // A value of the header replaced.
    () => {
      const values = [...header.matchAll(/\d+|"\w+"|\[[^\]]*\]/g)];
      const { 0: value, index } = pick(values);
      return file(header.slice(0, index) + pick(nasty) + header.slice(index + value.length), data);
    },
    // Two numbers exchanged: still a valid header.
    () => {
      const numbers = [...header.matchAll(/(?<=[[,])\d+/g)];
      const [a, b] = [pick(numbers), pick(numbers)].sort((x, y) => x.index - y.index) as [
        RegExpExecArray,
        RegExpExecArray,
      ];
      if (a.index === b.index) return whole;
      const between = header.slice(a.index + a[0].length, b.index);
      return file(
        header.slice(0, a.index) + b[0] + between + a[0] + header.slice(b.index + b[0].length),
        data,
      );
    },
    // Data lost or added.
    () =>
      file(
        header,
        Buffer.concat([data, Buffer.alloc(8)]).subarray(0, Math.floor(random() * (data.length + 8))),
      ),
  ];

  let loads = 0;
  let refusals = 0;
  const wrong: string[] = [];
  for (let i = 0; i < 6000; i++) {
    const bytes = pick(mutations)();
    const tensors = attempt(bytes);
    if (tensors === undefined) refusals++;
    else loads++;
    if (tensors !== undefined && JSON.stringify(asBits(tensors)) !== JSON.stringify(reference(bytes))) {
      wrong.push(Buffer.from(bytes).toString('latin1'));
    }
  }
  t.deepEqual(wrong, [], 'no wrong load');
  t.ok(loads > 500 && refusals > 2000, `${loads} loads, ${refusals} refusals`);
  t.end();
});

test('safetensors: writing refuses what could not be read back', (t) => {
  const w = tensor([2], () => 1);
  throwsFormatError(
    t,
    () => writeSafetensors([['__metadata__', w]], F32),
    /cannot be called __metadata__/,
    'a reserved name',
  );
  throwsFormatError(
    t,
    () =>
      writeSafetensors(
        [
          ['w', w],
          ['v', w],
          ['w', w],
        ],
        F32,
      ),
    /two tensors are called "w"/,
    'a name twice',
  );
  for (const shape of [[3], [], [-1, -2], [0.5, 4], [NaN]]) {
    t.throws(() => writeSafetensors([['w', { shape, data: w.data }]], F32), ShapeError, `shape [${shape}]`);
  }
  t.end();
});

test('safetensors: assertFinite names the tensor and the index', (t) => {
  const finite = tensor([2, 2], (i) => i);
  t.doesNotThrow(() =>
    assertFinite(
      new Map([
        ['a', finite],
        ['b', tensor([0], () => NaN)],
      ]),
      'm',
    ),
  );
  for (const value of [NaN, Infinity, -Infinity]) {
    const broken = tensor([2, 3], (i) => (i >= 4 ? value : 3e38));
    const message = new RegExp(
      `^m\\.safetensors: tensor "b\\.w", shape \\[2,3\\], is ${value} at flat index 4`,
    );
    throwsFormatError(
      t,
      () =>
        assertFinite(
          new Map([
            ['a', finite],
            ['b.w', broken],
          ]),
          'm.safetensors',
        ),
      message,
      `${value}`,
    );
  }
  t.end();
});

const real = { skip: assets === undefined && 'LIMELIGHT_ASSETS is not set' };

test('safetensors: real files have their keys and shapes', real, (t) => {
  const expected: [string, number, string, number[], RegExp][] = [
    ['squeezenet1_0', 52, 'features.0.weight', [96, 3, 7, 7], /squeezenet1_0/],
    ['squeezenet1_0.fp16', 52, 'classifier.1.weight', [1000, 512, 1, 1], /squeezenet1_0/],
    ['mobilenet_v1_0.25_224_keras', 137, 'features.0.conv.weight', [8, 3, 3, 3], /MobileNet/],
    ['resnet20_cifar10', 97, 'linear.weight', [10, 64], /resnet20/],
    ['resnet8_cifar10', 48, 'conv2d.weight', [16, 3, 3, 3], /resnet8/],
  ];
  for (const [name, count, key, shape, arch] of expected) {
    const bytes = readModel(name);
    const { tensors, metadata } = readSafetensors(bytes, name);
    t.equal(tensors.size, count, `${name}: tensors`);
    t.deepEqual(tensors.get(key)?.shape, shape, `${name}: ${key}`);
    t.match(metadata.get('arch') ?? '', arch, `${name}: metadata`);
    t.doesNotThrow(() => assertFinite(tensors, name), `${name}: finite`);
    t.deepEqual(asBits(tensors), reference(bytes), `${name}: values`);
  }
  t.end();
});

test('safetensors: half precision weights are those of float32, rounded', real, (t) => {
  const single = readSafetensors(readModel('squeezenet1_0'), 'f32').tensors;
  const bytes = readModel('squeezenet1_0.fp16');
  const half = readSafetensors(bytes, 'f16').tensors;
  const far = [...single].filter(([key, { data }]) =>
    data.some(
      (value, i) =>
        !(Math.abs(value - half.get(key)!.data[i]!) <= Math.max(Math.abs(value) * 2 ** -11, 2 ** -25)),
    ),
  );
  t.deepEqual(
    far.map(([key]) => key),
    [],
  );
  // PyTorch rounded that file: an independent answer for every weight.
  t.deepEqual(asBits(readSafetensors(writeSafetensors(single, F16), 'f16').tensors), asBits(half));
  t.end();
});

function readModel(name: string): Buffer {
  return readFileSync(join(assets!, 'models', `${name}.safetensors`));
}

function tensor(shape: number[], value: (i: number) => number): HostTensor {
  return { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)) };
}

function entry(dtype: unknown, shape: unknown, begin: unknown, end: unknown) {
  return { dtype, shape, data_offsets: [begin, end] };
}

/** A file with this header, given as its value or as its text, and these data. */
function file(header: object | string, data: Uint8Array = new Uint8Array()): Buffer {
  const text = Buffer.isBuffer(header)
    ? header
    : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

/** A small file of every dtype, an empty and a scalar tensor, and metadata. */
function mixedFile(): Buffer {
  return file(
    {
      __metadata__: { format: 'pt' },
      counter: entry('I64', [], 0, 8),
      d: entry('F64', [1], 8, 16),
      w: entry('F32', [2, 3], 16, 40),
      i: entry('I32', [1], 40, 44),
      h: entry('F16', [4], 44, 52),
      e: entry('F32', [0, 4], 52, 52),
      b: entry('BF16', [2, 1], 52, 56),
      u: entry('U8', [3], 56, 59),
    },
    Buffer.concat([
      new Uint8Array(BigInt64Array.of(-3n).buffer),
      new Uint8Array(Float64Array.of(0.75).buffer),
      new Uint8Array(Float32Array.of(1, -2, 0.1, 1e-40, NaN, Infinity).buffer),
      new Uint8Array(Int32Array.of(-70_000).buffer),
      new Uint8Array(Uint16Array.of(0x3c00, 0x8001, 0x7c00, 0x3555, 0x3f80, 0xc049).buffer),
      Uint8Array.of(0, 127, 255),
    ]),
  );
}

/** The tensors of a file, or undefined if it is refused. Any error but a FormatError goes through. */
function attempt(bytes: Uint8Array): StateDict | undefined {
  try {
    return readSafetensors(bytes, 'a').tensors;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Tensors as text, one line each in the order of their names: bit patterns, as -0 is not 0; all NaN are one. */
function asBits(tensors: StateDict): string[] {
  return [...tensors].map(([name, { shape, data }]) => line(name, shape, data)).sort();
}

function line(name: string, shape: readonly number[], values: Float32Array): string {
  return JSON.stringify([name, shape, toBits(values).join()]);
}

function toBits(values: Float32Array): number[] {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Array.from(bits, (pattern, i) => (Number.isNaN(values[i]!) ? 0x7fc00000 : pattern));
}

const REFERENCE: Record<string, (data: Buffer, offset: number) => number> = {
  F64: (data, offset) => data.readDoubleLE(offset),
  F32: (data, offset) => data.readFloatLE(offset),
  F16: (data, offset) => half16(data.readUInt16LE(offset)),
  BF16: (data, offset) => small(data.readUInt16LE(offset), 8, 7),
  I64: (data, offset) => Number(data.readBigInt64LE(offset)),
  I32: (data, offset) => data.readInt32LE(offset),
  U8: (data, offset) => data.readUInt8(offset),
};

/** What a file says, read naively; it throws if the tensors do not take each byte of the data exactly once. */
function reference(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes);
  const dataStart = 8 + Number(buffer.readBigUInt64LE());
  const data = buffer.subarray(dataStart);
  const { __metadata__, ...entries } = JSON.parse(buffer.subarray(8, dataStart).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const uses = new Uint8Array(data.length);
  const lines = Object.entries(entries).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [begin, end],
      },
    ]) => {
      for (let i = begin; i < end; i++) uses[i]!++;
      const length = shape.reduce((a, b) => a * b, 1);
      const values = Array.from({ length }, (_, i) =>
        REFERENCE[dtype]!(data, begin + (i * (end - begin)) / length),
      );
      return line(name, shape, Float32Array.from(values));
    },
  );
  if (uses.some((count) => count !== 1)) throw new Error('the tensors do not partition the data');
  return lines.sort();
}

/** The value of an IEEE float of 16 bits, by the definition. */
function small(bits: number, exponentBits: number, fractionBits: number): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = Math.floor((bits % 0x8000) / 2 ** fractionBits);
  const fraction = (bits % 2 ** fractionBits) / 2 ** fractionBits;
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

function half16(bits: number): number {
  return small(bits, 5, 10);
}

/** The float32 that follows (1) or precedes (-1) a positive one. */
function neighbour(value: number, step: 1 | -1): number {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0]! += step;
  return new Float32Array(bits.buffer)[0]!;
}

/** These bytes as a view into `buffer` whose first tensor byte has an address of `shift` modulo 4. */
function shifted(bytes: Uint8Array, buffer: Buffer, shift: number): Buffer {
  const start = (((shift - buffer.byteOffset) % 4) + 4) % 4;
  buffer.set(bytes, start);
  return buffer.subarray(start, start + bytes.length);
}
