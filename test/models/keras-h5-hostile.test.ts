// HDF5 files that are damaged or made to do harm: each ends in a FormatError or a correct load, in bounded time and
// memory, and none reaches another file.

import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import test from 'tape';
import { apart } from '#platform';
import { shapesOf } from '../../models/dry-run.ts';
import { FormatError } from '../../models/formats/errors.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { type ReadApart, readKerasH5 } from '../../models/formats/keras/h5.ts';
import { seededRandom } from '../reference/index.ts';
import { FLETCHER32, functional, h5File, weightsOf } from './keras-fixtures.ts';
import { exchanged, mutated } from './mutations.ts';

/** Milliseconds that reading a file may take. Good ones take some ten; the library can be led into endless circles. */
const LIMIT = 3000;
/** Files that one process reads: what the library leaves behind in JavaScript stays small. */
const FILES_PER_PROCESS = 750;
/** No good file needs as much memory, in bytes. */
const MUCH_MEMORY = 2 ** 25;

const layers = [
  { class: 'Conv2D', name: 'conv', config: { filters: 4, kernel_size: [3, 3], padding: 'same' } },
  { class: 'BatchNormalization', name: 'bn', config: { axis: [3], epsilon: 0.001 } },
  { class: 'ReLU', name: 'relu' },
  { class: 'GlobalAveragePooling2D', name: 'gap' },
  { class: 'Dense', name: 'dense', config: { units: 5, activation: 'softmax' } },
];
const weights = weightsOf({
  'conv/kernel': [3, 3, 3, 4],
  'conv/bias': [4],
  'bn/gamma': [4],
  'bn/beta': [4],
  'bn/moving_mean': [4],
  'bn/moving_variance': [4],
  'dense/kernel': [4, 5],
  'dense/bias': [5],
});
const config = functional([6, 6, 3], layers);
/** The configuration as the files hold it, with room for it to become longer. */
const text = JSON.stringify(config).padEnd(2000);

const module = new URL('./h5-reader.ts', import.meta.url);

/** Reads files one after the other in processes that are shared, and started anew where one was ended. */
function sharedReader(good: Uint8Array, limit = LIMIT) {
  let reader: ReturnType<typeof apart> | undefined;
  let files = 0;
  const read: ReadApart = async (file) => {
    if (reader === undefined) {
      reader = apart(module);
      files = 0;
      // What it takes to start is not the file's fault.
      await reader.ask({ bytes: good, name: 'good.h5' }, 60_000);
    }
    try {
      const { content, memory } = (await reader.ask(file, limit)) as { content: unknown; memory: number };
      if (memory > 2 ** 26 + 2 * file.bytes.length) throw new Error(`the library took ${memory} bytes`);
      if (++files === FILES_PER_PROCESS || memory > MUCH_MEMORY) end();
      return content;
    } catch (error) {
      end();
      throw error;
    }
  };
  const end = () => {
    reader?.end();
    reader = undefined;
  };
  return { read, end };
}

/** Every number that lies in a file, as 32 or 64 bits at any byte, and the zeros of what was never written. */
function numbersIn(bytes: Uint8Array): Set<number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const numbers = new Set([0]);
  for (let i = 0; i + 4 <= bytes.length; i++) numbers.add(view.getFloat32(i, true));
  for (let i = 0; i + 8 <= bytes.length; i++) numbers.add(Math.fround(view.getFloat64(i, true)));
  return numbers;
}

/** The weights: what a file that holds them under checksums may give. */
const numbersWritten = new Set(Object.values(weights).flatMap(({ data }) => [...Float32Array.from(data)]));

/** What is wrong with a network that was read: its shapes do not fit, or it has numbers that it should not have. */
function faultOf(
  { graph, inputShape, tensors }: ImportedNetwork,
  numbers: ReadonlySet<number>,
): string | undefined {
  shapesOf(graph, inputShape);
  for (const node of graph.nodes) {
    for (const { key, shape } of Object.values(node.parameters)) {
      const tensor = tensors.get(key);
      if (tensor?.shape.join() !== shape.join()) return `${key} is [${tensor?.shape}], not [${shape}]`;
      const count = shape.reduce((product, n) => product * n, 1);
      if (tensor.data.length !== count) return `${key} has ${tensor.data.length} numbers for [${shape}]`;
      const strange = tensor.data.find((value) => !numbers.has(value));
      if (strange !== undefined) return `${key} holds ${strange}, which it does not in the file`;
    }
  }
  return undefined;
}

/** How reading a file ended: "read", "refused", "ended" at the limit, or what should not be. */
async function endOf(bytes: Uint8Array, read: ReadApart, checked = false): Promise<string> {
  let network: ImportedNetwork;
  try {
    network = await readKerasH5(bytes, 'model.h5', {}, read);
  } catch (error) {
    if (!(error instanceof FormatError)) return `untyped: ${(error as Error).stack}`;
    if (!error.message.startsWith('model.h5')) return `without a name: ${error.message}`;
    if (/the library took/.test(error.message)) return error.message;
    return /no answer within/.test(error.message) ? 'ended' : 'refused';
  }
  return faultOf(network, checked ? numbersWritten : numbersIn(bytes)) ?? 'read';
}

/** Where a file's structures lie: bytes in use beside the configuration's text. */
function structures(bytes: Uint8Array): number[] {
  const start = Buffer.from(bytes).indexOf(text);
  const used = (at: number) => [-1, 0, 1].some((step) => (bytes[at + step] ?? 0) !== 0);
  return [...bytes.keys()].filter((at) => used(at) && (at < start || at >= start + text.length));
}

/** Bob Jenkins's lookup3, which HDF5 takes for checksums (https://burtleburtle.net/bob/c/lookup3.c). */
function lookup3(bytes: Uint8Array): number {
  const rotate = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const padded = new Uint8Array(Math.max(1, Math.ceil(bytes.length / 12)) * 12);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  let a = (0xdeadbeef + bytes.length) | 0;
  let b = a;
  let c = a;
  for (let at = 0; at < padded.length; at += 12) {
    a = (a + view.getUint32(at, true)) | 0;
    b = (b + view.getUint32(at + 4, true)) | 0;
    c = (c + view.getUint32(at + 8, true)) | 0;
    if (at + 12 === padded.length) break;
    for (const [k, l, m] of [
      [4, 6, 8],
      [16, 19, 4],
    ] as const) {
      a = ((a - c) | 0) ^ rotate(c, k);
      c = (c + b) | 0;
      b = ((b - a) | 0) ^ rotate(a, l);
      a = (a + c) | 0;
      c = ((c - b) | 0) ^ rotate(b, m);
      b = (b + a) | 0;
    }
  }
  for (const [k, l, m] of [
    [14, 11, 25],
    [16, 4, 14],
  ] as const) {
    c = ((c ^ b) - rotate(b, k)) | 0;
    a = ((a ^ c) - rotate(c, l)) | 0;
    b = ((b ^ a) - rotate(a, m)) | 0;
  }
  return ((c ^ b) - rotate(b, 24)) >>> 0;
}

/** Makes the checksums of the newest layout's superblock and object headers fit what they now hold. */
function resealed(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const seal = (start: number, length: number) => {
    if (start + length + 4 <= bytes.length)
      view.setUint32(start + length, lookup3(bytes.subarray(start, start + length)), true);
  };
  if (bytes[8]! >= 2) seal(0, 44);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (
    let at = buffer.indexOf('OHDR');
    at >= 0 && at + 40 < bytes.length;
    at = buffer.indexOf('OHDR', at + 4)
  ) {
    const flags = bytes[at + 5]!;
    const sizeAt = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    const width = 1 << (flags & 3);
    seal(at, sizeAt - at + width + buffer.readUIntLE(sizeAt, Math.min(width, 6)));
  }
  return bytes;
}

type Random = () => number;
const below = (n: number, next: Random) => Math.floor(next() * n);

/** A number in a structure becomes an extreme one. */
function extreme(bytes: Uint8Array, places: readonly number[], next: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const view = new DataView(copy.buffer);
  for (let edits = 1 + below(2, next); edits > 0; edits--) {
    const width = 2 ** below(4, next);
    const at = Math.min(places[below(places.length, next)]!, copy.length - 8);
    const top = 1n << BigInt(8 * width);
    const size = BigInt(copy.length);
    const values = [0n, 1n, top - 1n, top - 16n, top / 2n, top / 2n - 1n, size, size - 1n, size / 2n, 96n];
    const value = values[below(values.length, next)]!;
    const old = view.getBigUint64(at, true);
    view.setBigUint64(at, (old / top) * top + (value % top), true);
  }
  return copy;
}

/** A part of the structures moves: over another, into it, or out of the file. */
function spliced(bytes: Uint8Array, places: readonly number[], next: Random): Uint8Array {
  const at = () => places[below(places.length, next)]!;
  const [to, from] = [at(), at()];
  const part = bytes.subarray(from, from + 1 + below(64, next));
  const kind = below(3, next);
  const rest = bytes.subarray(kind === 0 ? to + part.length : kind === 1 ? to : to + 1 + below(16, next));
  const parts = kind === 2 ? [bytes.subarray(0, to), rest] : [bytes.subarray(0, to), part, rest];
  return new Uint8Array(Buffer.concat(parts));
}

/** The file ends early, and says so. */
function cut(bytes: Uint8Array, next: Random): Uint8Array {
  const copy = bytes.slice(0, 96 + below(bytes.length - 96, next));
  new DataView(copy.buffer).setBigUint64(copy[8]! >= 2 ? 28 : 40, BigInt(copy.length), true);
  return copy;
}

/** The configuration's text becomes another one; one that is too long is cut. */
function withText(bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = Buffer.from(bytes).indexOf(text);
  copy.fill(0x20, at, at + text.length);
  copy.set(other.subarray(0, text.length), at);
  return copy;
}

test('3,000 mutations of HDF5 files: a FormatError or a correct load', async (t) => {
  const plain = await h5File(text, weights);
  const layouts = {
    plain,
    packed: await h5File(text, weights, { packed: 'gzip' }),
    summed: await h5File(text, weights, { packed: FLETCHER32 }),
    newest: await h5File(text, weights, { newest: true }),
    heap: await h5File(text, weights, { heap: true }),
  };
  const isChecked = (layout: string) => layout === 'packed' || layout === 'summed';
  const reader = sharedReader(plain);
  t.equal(lookup3(new TextEncoder().encode('Four score and seven years ago')), 0x17770551, 'the checksum');
  t.deepEqual(resealed(Uint8Array.from(layouts.newest)), layouts.newest, 'good files are sealed so');
  for (const [name, bytes] of Object.entries(layouts))
    t.equal(await endOf(bytes, reader.read, isChecked(name)), 'read', `${name}: the good file`);
  reader.end();

  const next = seededRandom(5);
  const places = Object.fromEntries(
    Object.entries(layouts).map(([name, bytes]) => [name, structures(bytes)]),
  );
  const kinds: Readonly<Record<string, (bytes: Uint8Array, places: readonly number[]) => Uint8Array>> = {
    bytes: (bytes) => mutated(bytes, next),
    extremes: (bytes, places) => extreme(bytes, places, next),
    bits: (bytes, places) => {
      const copy = Uint8Array.from(bytes);
      copy[places[below(places.length, next)]!]! ^= 1 << below(8, next);
      return copy;
    },
    splices: (bytes, places) => spliced(bytes, places, next),
    cuts: (bytes) => cut(bytes, next),
    text: (bytes) => withText(bytes, mutated(new TextEncoder().encode(text.trim()), next)),
    settings: (bytes) => withText(bytes, new TextEncoder().encode(JSON.stringify(exchanged(config, next)))),
  };
  function* cases() {
    const files = Object.entries(layouts);
    const changes = Object.entries(kinds);
    for (let i = 0; i < 3000; i++) {
      // Every kind meets every layout; half of all files are as Keras writes them.
      const [layout, bytes] = i % 2 === 0 ? (['plain', plain] as const) : files[below(files.length, next)]!;
      const [kind, change] = changes[below(changes.length, next)]!;
      const changed = resealed(change(bytes, places[layout]!));
      yield { what: `${i}: ${kind} of ${layout}`, bytes: changed, checked: isChecked(layout) };
    }
  }
  const ends = new Map<string, number>();
  const wrong: string[] = [];
  const left = cases();
  const work = async () => {
    const { read, end } = sharedReader(plain);
    for (const { what, bytes, checked } of left) {
      const how = await endOf(bytes, read, checked);
      ends.set(how, (ends.get(how) ?? 0) + 1);
      if (!['read', 'refused', 'ended'].includes(how)) wrong.push(`${what}: ${how}`);
    }
    end();
  };
  await Promise.all([work(), work()]);
  t.deepEqual(
    wrong.slice(0, 5),
    [],
    'every error is typed, names the file and comes in time; every load is correct',
  );
  const [loads, refusals] = [ends.get('read') ?? 0, ends.get('refused') ?? 0];
  t.ok(
    loads > 200 && refusals > 800,
    `${loads} loaded, ${refusals} refused, ${ends.get('ended') ?? 0} ended`,
  );
});

/** What hostile-h5.json's files end in: "read", with the kernel 0, 1, ... 5, or a message. */
const hostile: Readonly<Record<string, RegExp | 'read'>> = {
  plain: 'read',
  newest: 'read',
  doubles: 'read',
  'many attributes': 'read',
  'texts of any length': 'read',
  'a soft link': 'read',
  'groups in groups': 'read',
  'names of prototypes': 'read',
  gzip: 'read',
  chunks: 'read',
  'chunks over the edge': 'read',
  'doubles in chunks': 'read',
  'big-endian in chunks': /not a dataset of little-endian numbers/,
  'integers in chunks': /does not hold 32-bit or 64-bit/,
  'newest in chunks': /lies in chunks of HDF5's newest layout/,
  'a scale and an offset': /compressed by scaleoffset; gzip, shuffle and fletcher32 are read/,
  'a checksum first': 'read',
  'one chunk of two': /lacks 1 of its 2 chunks/,
  'a chunk without its filters': /chunk at \[0, 0\] left out a filter/,
  'a compact one': 'read',
  'a compact one cut short': /cannot be read|not a dataset/,
  'a link to another file': /lies in another file/,
  'a link to a password': /lies in another file/,
  'a link to a device': /lies in another file/,
  'numbers in another file': /or lies in another file/,
  'numbers in a password': /or lies in another file/,
  'numbers in a device': /or lies in another file/,
  'numbers in a parent': /or lies in another file/,
  'a view of another file': /a view of other datasets/,
  'a view of itself': /a view of other datasets/,
  'a layer in another file': /no group "dense"/,
  'weights in another file': /no group "model_weights"/,
  integers: /does not hold 32-bit or 64-bit/,
  halves: /Float16 not supported/,
  'big-endian': /not a dataset of little-endian numbers/,
  booleans: /does not hold 32-bit or 64-bit/,
  texts: /not a dataset of little-endian numbers/,
  pairs: /does not hold 32-bit or 64-bit/,
  nothing: /not a dataset of little-endian numbers/,
  'one number': /dense\/kernel is \[\], expected \[3, 2\]/,
  references: /not a dataset of little-endian numbers/,
  regions: /not a dataset of little-endian numbers/,
  'rows of any length': /does not hold 32-bit or 64-bit/,
  'rows of three': /does not hold 32-bit or 64-bit/,
  'a group': /not a dataset/,
  'a type': /not a dataset/,
  'an unknown filter': /compressed by lzf/,
  'a wrong checksum': /a chunk does not have the checksum \(Fletcher-32\)/,
  'a damaged chunk': /a chunk does not have the checksum \(Adler-32\)/,
  'half a chunk': /unexpected EOF/,
  'a chunk too short': /chunk at \[0, 0\] has 8 bytes, expected 24/,
  'a bomb': /unpack to more than \d+ bytes/,
  'a bomb of 4 GB': /unpack to more than \d+ bytes/,
  'more than can be counted': /not a dataset/,
  'more than the file holds': /larger than the file/,
  'more than the file holds by far': /not a dataset|larger than the file/,
  'thousands of empty chunks': /lacks 2048 of its 2048 chunks/,
  'one text four thousand times': /longer than 1000 characters/,
  'ninety thousand weights of nothing': /larger than the file/,
  'a circle of groups': /longer than 1000 characters/,
  'a circle of links': /not a dataset/,
  'a link to nowhere': /not a dataset/,
};

test('HDF5 files made to do harm', async (t) => {
  const path = new URL('./references/hostile-h5.json', import.meta.url);
  const files = Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>);
  const unpacked = (file: string) => new Uint8Array(inflateSync(Buffer.from(file, 'base64')));
  const { read, end } = sharedReader(await h5File(text, weights), 60_000);
  for (const [name, file] of files) {
    const bytes = unpacked(file);
    const expected = hostile[name];
    const found = await readKerasH5(bytes, 'model.h5', {}, read).catch((error) => error);
    if (expected === 'read') {
      t.notOk(found instanceof Error, `${name}: ${found}`);
      // Limelight's layout is the transpose of Keras's.
      const kernel = [...(found as ImportedNetwork).tensors.values()].find(({ shape }) => shape.length === 2);
      t.deepEqual([...(kernel?.data ?? [])], [0, 2, 4, 1, 3, 5], `${name}: its numbers`);
    } else {
      t.ok(found instanceof FormatError && expected?.test(found.message), `${name}: ${found}`.slice(0, 200));
    }
  }
  end();
  t.equal(({} as Record<string, unknown>).polluted, undefined, 'no object is changed');
  t.deepEqual(files.map(([name]) => name).sort(), Object.keys(hostile).sort(), 'every file was tried');
});
