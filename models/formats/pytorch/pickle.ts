// Python's pickle format (PEP 307, 3154): a program for a machine with a stack and a memo. Here the machine makes plain
// data only. What a pickle calls by name goes to a table of the caller's; nothing is ever imported or run.

import { FormatError } from '../errors.ts';

/** What a pickle means by the names it gives and by the references that lead out of it. */
export interface Meanings {
  /** A name such as "collections.OrderedDict"; throws where it is not known. */
  readonly named: (name: string) => unknown;
  /** The result of calling something that was named. */
  readonly call: (callable: unknown, args: readonly unknown[]) => unknown;
  /** What lies outside the pickle under an id. */
  readonly outside: (id: unknown) => unknown;
}

/** Python's dict, in order; lists and tuples are arrays, None is null. */
export type Dict = Map<unknown, unknown>;

/** The machine: where it reads, its stack, the places of its marks, and what it remembers. */
interface Machine extends Meanings {
  readonly bytes: Uint8Array;
  at: number;
  readonly stack: unknown[];
  readonly marks: number[];
  readonly memo: Map<number, unknown>;
  /** Items that may still be handed to what is called. */
  left: number;
}

const take = (m: Machine, count: number): Uint8Array => {
  if (!(count >= 0 && m.at + count <= m.bytes.length)) throw new FormatError('the pickle is cut off');
  m.at += count;
  return m.bytes.subarray(m.at - count, m.at);
};
/** The next bytes as numbers. */
const next = (m: Machine, count: number): DataView => {
  const raw = take(m, count);
  return new DataView(raw.buffer, raw.byteOffset, count);
};
const u8 = (m: Machine): number => next(m, 1).getUint8(0);
const u16 = (m: Machine): number => next(m, 2).getUint16(0, true);
const u32 = (m: Machine): number => next(m, 4).getUint32(0, true);
const u64 = (m: Machine): number => Number(next(m, 8).getBigUint64(0, true));
const utf8 = new TextDecoder('utf-8', { fatal: true });
const text = (m: Machine, count: number): string => utf8.decode(take(m, count));
const latin1 = (m: Machine, count: number): string => String.fromCharCode(...take(m, count));

function line(m: Machine): string {
  const end = m.bytes.indexOf(0x0a, m.at);
  const content = text(m, (end < 0 ? m.bytes.length + 1 : end) - m.at);
  m.at++;
  return content;
}

function pop(m: Machine): unknown {
  if (m.stack.length <= (m.marks.at(-1) ?? 0)) throw new FormatError('the pickle takes more than it has');
  return m.stack.pop();
}

/** Everything above the last mark, which goes. */
function marked(m: Machine): unknown[] {
  const mark = m.marks.pop();
  if (mark === undefined) throw new FormatError('the pickle goes back to a mark that it never set');
  return m.stack.splice(mark);
}

const top = (m: Machine): unknown => {
  const value = pop(m);
  m.stack.push(value);
  return value;
};
const recalled = (m: Machine, index: number): unknown => {
  if (!m.memo.has(index)) throw new FormatError('the pickle recalls what it never remembered');
  return m.memo.get(index);
};
const several = (m: Machine, count: number): unknown[] =>
  Array.from({ length: count }, () => pop(m)).reverse();
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Keys and values, in turns, put into a dict; what takes its items in another way is left as it is. */
function withItems(target: unknown, items: readonly unknown[]): unknown {
  if (target instanceof Map) for (let i = 0; i + 1 < items.length; i += 2) target.set(items[i], items[i + 1]);
  return target;
}

function appended(target: unknown, items: readonly unknown[]): unknown {
  if (Array.isArray(target)) for (const item of items) target.push(item);
  return target;
}

/** Changes what lies below the items that were just taken from the stack. */
const changed = (m: Machine, items: readonly unknown[], change: typeof appended): unknown =>
  change(top(m), items);

function assertVersion(m: Machine): void {
  const version = u8(m);
  if (version > 5) throw new FormatError(`the pickle has version ${version}; up to 5 are read`);
}

/** A whole number of `count` bytes, two's complement. */
function long(m: Machine, count: number): number | bigint {
  const digits = Array.from(take(m, count), (byte) => byte.toString(16).padStart(2, '0'));
  const value = BigInt.asIntN(8 * count, BigInt(`0x0${digits.reverse().join('')}`));
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** A call, which may go through everything that it is given: of all calls together no more than the file has bytes. */
function reduced(m: Machine): unknown {
  const args = list(pop(m));
  m.left -= args.reduce<number>((count, arg) => count + list(arg).length, args.length);
  if (m.left < 0) throw new FormatError('the pickle hands on more than it has');
  return m.call(pop(m), args);
}

/** Two names, of a module and of what is in it, joined. */
function globalName(m: Machine): string {
  const names = several(m, 2);
  if (names.every((name) => typeof name === 'string')) return names.join('.');
  throw new FormatError('the pickle has a name that is no text');
}

/** Operations that put one value on the stack, by their codes; the names are those of Python's pickletools. */
const values = new Map<number, (m: Machine) => unknown>([
  [0x4e, () => null], // NONE
  [0x88, () => true], // NEWTRUE
  [0x89, () => false], // NEWFALSE
  [0x4a, (m) => u32(m) | 0], // BININT
  [0x4b, u8], // BININT1
  [0x4d, u16], // BININT2
  [0x8a, (m) => long(m, u8(m))], // LONG1
  [0x8b, (m) => long(m, u32(m))], // LONG4
  [0x47, (m) => next(m, 8).getFloat64(0)], // BINFLOAT
  [0x8c, (m) => text(m, u8(m))], // SHORT_BINUNICODE
  [0x58, (m) => text(m, u32(m))], // BINUNICODE
  [0x8d, (m) => text(m, u64(m))], // BINUNICODE8
  [0x55, (m) => latin1(m, u8(m))], // SHORT_BINSTRING
  [0x54, (m) => text(m, u32(m))], // BINSTRING
  [0x43, (m) => take(m, u8(m))], // SHORT_BINBYTES
  [0x42, (m) => take(m, u32(m))], // BINBYTES
  [0x8e, (m) => take(m, u64(m))], // BINBYTES8
  [0x5d, () => []], // EMPTY_LIST
  [0x29, () => []], // EMPTY_TUPLE
  [0x7d, () => new Map()], // EMPTY_DICT
  [0x8f, () => []], // EMPTY_SET
  [0x85, (m) => several(m, 1)], // TUPLE1
  [0x86, (m) => several(m, 2)], // TUPLE2
  [0x87, (m) => several(m, 3)], // TUPLE3
  [0x74, marked], // TUPLE
  [0x6c, marked], // LIST
  [0x91, marked], // FROZENSET
  [0x64, (m) => withItems(new Map(), marked(m))], // DICT
  [0x68, (m) => recalled(m, u8(m))], // BINGET
  [0x6a, (m) => recalled(m, u32(m))], // LONG_BINGET
  [0x63, (m) => m.named(`${line(m)}.${line(m)}`)], // GLOBAL
  [0x93, (m) => m.named(globalName(m))], // STACK_GLOBAL
  [0x51, (m) => m.outside(pop(m))], // BINPERSID
  [0x52, reduced], // REDUCE
  [0x81, reduced], // NEWOBJ
  [0x32, top], // DUP
]);

/** Operations that put nothing there. */
const others = new Map<number, (m: Machine) => unknown>([
  [0x80, assertVersion], // PROTO
  [0x95, u64], // FRAME
  [0x28, (m) => m.marks.push(m.stack.length)], // MARK
  [0x30, pop], // POP
  [0x31, marked], // POP_MARK
  [0x71, (m) => m.memo.set(u8(m), top(m))], // BINPUT
  [0x72, (m) => m.memo.set(u32(m), top(m))], // LONG_BINPUT
  [0x94, (m) => m.memo.set(m.memo.size, top(m))], // MEMOIZE
  [0x73, (m) => changed(m, several(m, 2), withItems)], // SETITEM
  [0x75, (m) => changed(m, marked(m), withItems)], // SETITEMS
  [0x61, (m) => changed(m, several(m, 1), appended)], // APPEND
  [0x65, (m) => changed(m, marked(m), appended)], // APPENDS
  [0x90, (m) => changed(m, marked(m), appended)], // ADDITEMS
  // Attributes of an object: of what is data here, none counts.
  [0x62, pop], // BUILD
]);

const STOP = 0x2e;

/**
 * Reads one pickle from `start`; gives its value and where it ends.
 *
 * @throws {FormatError} if it is cut off, breaks a rule of the format, or has an operation that weights have no use for.
 */
export function readPickle(
  bytes: Uint8Array,
  meanings: Meanings,
  start = 0,
): { value: unknown; end: number } {
  const m: Machine = {
    ...meanings,
    bytes,
    at: start,
    stack: [],
    marks: [],
    memo: new Map(),
    left: bytes.length,
  };
  for (;;) {
    const code = u8(m);
    if (code === STOP) return { value: pop(m), end: m.at };
    const value = values.get(code);
    const other = others.get(code);
    if (value) m.stack.push(value(m));
    else if (other) other(m);
    else throw new FormatError(`the pickle has the operation 0x${code.toString(16)}, which is not read`);
  }
}
