// Datasets in chunks, compressed ones among them: found by their index and unpacked here. The HDF5 library gives zeros for
// a chunk that its index misses, and what lay in memory for the end of one that is too short, without a word.
// https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html

import { unzlibSync } from 'fflate';
import { FormatError } from '../errors.ts';

/** What the library tells of a dataset in chunks. */
export interface Chunked {
  readonly shape: readonly number[];
  /** The shape of every chunk, [rank]; those at the edges reach beyond the dataset. */
  readonly chunk: readonly number[];
  /** Bytes of an element. */
  readonly size: number;
  /** What chunks went through when they were written, in order, by number and name. */
  readonly filters: readonly { readonly id: number; readonly name: string }[];
  /** Where the dataset's object header lies in the file. */
  readonly header: number;
}

/** Undoes a filter: `bytes` is what it gave; all filters together must give `length` bytes; `size` is an element's. */
type Undo = (bytes: Uint8Array, length: number, size: number) => Uint8Array;

/** The filters that are undone, by HDF5's numbers. */
const filters: Readonly<Record<number, Undo>> = { 1: inflate, 2: unshuffle, 3: withoutFletcher32 };

/**
 * The bytes of a dataset in C order, each chunk of which is there once and whole.
 *
 * @throws {FormatError} if a chunk is damaged, as checksums tell, or missing, or the file is in HDF5's newest layout.
 */
export function readChunks(file: Uint8Array, dataset: Chunked, where: string): Uint8Array {
  const { shape, chunk, size } = dataset;
  const unknown = dataset.filters.find(({ id }) => !Object.hasOwn(filters, id));
  if (unknown)
    throw new FormatError(
      `${where} is compressed by ${unknown.name || `filter ${unknown.id}`}; gzip, shuffle and fletcher32 are read; save the model again with model.save("name.h5")`,
    );
  const grid = shape.map((length, axis) => Math.ceil(length / chunk[axis]!));
  const length = chunk.reduce((product, n) => product * n, size);
  const target = new Uint8Array(shape.reduce((product, n) => product * n, size));
  const seen = new Set<number>();
  for (const { offset, bytes } of chunksOf(file, dataset, where)) {
    const at = offset.map((start, axis) => start / chunk[axis]!);
    const number = at.reduce((before, n, axis) => before * grid[axis]! + n, 0);
    if (!at.every((n, axis) => Number.isInteger(n) && n < grid[axis]!) || seen.has(number))
      throw new FormatError(`${where} is damaged: its index has a chunk at [${offset.join(', ')}]`);
    seen.add(number);
    let plain = bytes;
    for (const { id } of [...dataset.filters].reverse()) plain = filters[id]!(plain, length, size);
    if (plain.length !== length)
      throw new FormatError(
        `${where} is damaged: its chunk at [${offset.join(', ')}] has ${plain.length} bytes, expected ${length}`,
      );
    place(plain, offset, dataset, target);
  }
  const count = grid.reduce((product, n) => product * n, 1);
  if (seen.size < count)
    throw new FormatError(
      `${where} lacks ${count - seen.size} of its ${count} chunks; is the file complete?`,
    );
  return target;
}

/** Copies a chunk's bytes to their place, a run of the last axis at a time, without what reaches beyond the dataset. */
function place(plain: Uint8Array, offset: readonly number[], dataset: Chunked, target: Uint8Array): void {
  const { shape, chunk, size } = dataset;
  const visit = (axis: number, from: number, to: number) => {
    const inside = Math.min(chunk[axis]!, shape[axis]! - offset[axis]!);
    if (axis === shape.length - 1) {
      const start = (to + offset[axis]!) * size;
      target.set(plain.subarray(from * size, (from + inside) * size), start);
      return;
    }
    for (let i = 0; i < inside; i++)
      visit(axis + 1, (from + i) * chunk[axis + 1]!, (to + offset[axis]! + i) * shape[axis + 1]!);
  };
  visit(0, 0, 0);
}

const LAYOUT_MESSAGE = 8;
const CONTINUATION_MESSAGE = 16;
/** No dataset's header has more: its attributes stand among them. */
const MAX_MESSAGES = 10_000;
/** "TREE" and "OHDR" as numbers, the latter of headers of version 2. */
const [TREE, OHDR] = [0x45455254, 0x5244484f];
/** The address of what was never written: the largest that there is. */
const NOWHERE = 2 ** 64;

/** Numbers of a file, all little-endian; a place beyond its end is damage. */
function reader(file: Uint8Array, where: string) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const inside = (at: number, length: number) => {
    if (at + length <= file.length) return at;
    throw new FormatError(`${where} is damaged: it points to byte ${at} of ${file.length}`);
  };
  return {
    byte: (at: number) => view.getUint8(inside(at, 1)),
    short: (at: number) => view.getUint16(inside(at, 2), true),
    word: (at: number) => view.getUint32(inside(at, 4), true),
    long: (at: number) => Number(view.getBigUint64(inside(at, 8), true)),
    bytes: (at: number, length: number) => file.subarray(inside(at, length), at + length),
  };
}

type Read = ReturnType<typeof reader>;

/** Every chunk that the index of a dataset, a B-tree of version 1, leads to, with the place of its first element. */
function* chunksOf(
  file: Uint8Array,
  { shape, header }: Chunked,
  where: string,
): Generator<{ offset: readonly number[]; bytes: Uint8Array }> {
  const read = reader(file, where);
  const damaged = (what: string) => new FormatError(`${where} is damaged: ${what}`);
  // A key: the chunk's size, the filters it did not go through, its place along each axis and within an element.
  const keyLength = 8 + 8 * (shape.length + 1);
  const nodes: { at: number; level: number | undefined }[] = [];
  const root = indexOf(read, header, where);
  if (root < NOWHERE) nodes.push({ at: root, level: undefined });
  // A damaged index may lead round in circles.
  let left = file.length / (24 + keyLength);
  for (let node = nodes.pop(); node; node = nodes.pop()) {
    const { at } = node;
    const level = read.byte(at + 5);
    const isNode = read.word(at) === TREE && read.byte(at + 4) === 1 && level === (node.level ?? level);
    if (!isNode || --left < 0) throw damaged(`its index has no node at byte ${at}`);
    for (let i = 0; i < read.short(at + 6); i++) {
      const key = at + 24 + i * (keyLength + 8);
      const child = read.long(key + keyLength);
      if (level > 0) {
        nodes.push({ at: child, level: level - 1 });
        continue;
      }
      const offset = shape.map((_, axis) => read.long(key + 8 + 8 * axis));
      if (read.word(key + 4) !== 0) throw damaged(`its chunk at [${offset.join(', ')}] left out a filter`);
      yield { offset, bytes: read.bytes(child, read.word(key)) };
    }
  }
}

/** Where the index of a dataset begins: its header's messages tell, one of them in blocks that others point to. */
function indexOf(read: Read, header: number, where: string): number {
  const { blocks, signature, message } = headerAt(read, header);
  // Blocks may point to one another.
  let left = MAX_MESSAGES;
  for (let block = blocks.shift(); block; block = blocks.shift()) {
    for (let at = block.at; at < block.end && left > 0; left--) {
      const { type, data, length } = message(at);
      if (type === LAYOUT_MESSAGE && read.byte(data) === 3 && read.byte(data + 1) === 2)
        return read.long(data + 3);
      if (type === CONTINUATION_MESSAGE) {
        const start = read.long(data);
        blocks.push({ at: start + signature, end: start + read.long(data + 8) - signature });
      }
      at = data + length;
    }
  }
  throw new FormatError(
    `${where} lies in chunks of HDF5's newest layout, as libver="latest" writes them; save the model again with model.save("name.h5")`,
  );
}

/** A header's first block of messages, bytes before and after them in later blocks, and how a message begins. */
function headerAt(read: Read, header: number) {
  if (read.word(header) !== OHDR)
    return {
      blocks: [{ at: header + 16, end: header + 16 + read.word(header + 8) }],
      signature: 0,
      message: (at: number) => ({ type: read.short(at), data: at + 8, length: read.short(at + 2) }),
    };
  const flags = read.byte(header + 5);
  const start = header + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
  const width = 1 << (flags & 3);
  const length = [read.byte, read.short, read.word, read.long][flags & 3]!(start);
  const head = flags & 4 ? 6 : 4;
  return {
    blocks: [{ at: start + width, end: start + width + length }],
    signature: 4,
    message: (at: number) => ({ type: read.byte(at), data: at + head, length: read.short(at + 1) }),
  };
}

/** Unpacks zlib's format and holds the result to its Adler-32 checksum. */
function inflate(bytes: Uint8Array, length: number): Uint8Array {
  // Filters before it may have added some bytes; more than those are left out, and the checksum then tells.
  const plain = unzlibSync(bytes, { out: new Uint8Array(length + CHECKSUM) });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [a, b] = [1, 0];
  for (const byte of plain) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  if (view.getUint32(bytes.length - CHECKSUM) === b * 65536 + a) return plain;
  throw new Error('a chunk does not have the checksum (Adler-32) that stands after it');
}

/** Bytes that a checksum takes. */
const CHECKSUM = 4;

/** Byte k of every element stands before byte k + 1 of any; what is left over at the end stays. */
function unshuffle(bytes: Uint8Array, _: number, size: number): Uint8Array {
  const count = Math.floor(bytes.length / size);
  const plain = Uint8Array.from(bytes);
  for (let k = 0; k < size; k++) for (let i = 0; i < count; i++) plain[i * size + k] = bytes[k * count + i]!;
  return plain;
}

/**
 * Takes off Fletcher's checksum: the sum of all 16-bit numbers, high byte first, and the sum of those sums. Both are known
 * but for multiples of 65,535.
 */
function withoutFletcher32(bytes: Uint8Array): Uint8Array {
  const plain = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM));
  let [a, b] = [0, 0];
  for (let i = 0; i < plain.length; i += 2) {
    a = (a + plain[i]! * 256 + (plain[i + 1] ?? 0)) % 65535;
    b = (b + a) % 65535;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const stored = (at: number) => view.getUint16(plain.length + at, true) % 65535;
  if (bytes.length >= CHECKSUM && stored(0) === a && stored(2) === b) return plain;
  throw new Error('a chunk does not have the checksum (Fletcher-32) that stands after it');
}
