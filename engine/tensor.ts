// The value that everything passes around: a shape, numbers on the device, and, while derivatives are taken, the node
// of the tape that made it.
//
// The lifetime rule. A tensor belongs to the innermost `scope` that was open when it was made, and dies when that
// scope ends, unless the scope returns it; then it belongs to the scope outside. Outside every scope a tensor lives
// until `dispose`. That is all: the tape keeps what it needs by itself.

// For those who compile against the declarations with an older library: `using` is theirs to use or not.
/// <reference lib="esnext.disposable" preserve="true" />

import { type Device, type Piece, read, write } from './device.ts';
import { DisposedError, MixedDevicesError, ScopeError, ShapeError } from './errors.ts';
import { floatToHalf, halfToFloat, LARGEST_HALF } from './half.ts';
import { allocate, bytesIn, partOf, release, retain, type Storage } from './memory.ts';
import { releaseNode, retainNode, type TapeNode } from './tape.ts';

/** Sizes of axes, the slowest first; [] is a scalar's. */
export type Shape = readonly number[];
export type DataType = 'f32' | 'u32';

/** Number of elements of a shape. */
export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);
export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);
export const show = (shape: Shape): string => `[${shape.join(', ')}]`;

let current: Set<Tensor> | undefined;

/**
 * Numbers of a shape on a device. Operations give new tensors; `data` reads one back. A tensor lives as long as the `scope`
 * in which it was made, or until `dispose`. Any operation throws a ShapeError where its arguments do not fit together, a
 * MixedDevicesError for tensors of several devices, a MemoryBudgetError where its result has no room, a DisposedError for a
 * tensor that is gone, and a DeviceLostError where the device is.
 */
export class Tensor {
  readonly device: Device;
  readonly shape: Shape;
  readonly type: DataType;
  /** The tape's node that made this tensor; undefined when no derivative is being taken. */
  readonly node: TapeNode<Tensor> | undefined;
  #storage: Storage | undefined;

  constructor(
    device: Device,
    shape: Shape,
    storage: Storage,
    type: DataType = 'f32',
    node?: TapeNode<Tensor>,
  ) {
    this.device = device;
    this.shape = shape;
    this.type = type;
    this.node = node;
    this.#storage = storage;
    retain(storage);
    if (node) retainNode(node);
    current?.add(this);
  }

  get storage(): Storage {
    if (this.#storage) return this.#storage;
    throw new DisposedError(
      `a tensor of shape ${show(this.shape)} was used after it was disposed; return it from its scope to keep it`,
    );
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Gives the memory back. Calling it twice does nothing. */
  dispose(): void {
    const storage = this.#storage;
    if (!storage) return;
    this.#storage = undefined;
    current?.delete(this);
    release(storage);
    if (this.node) releaseNode(this.node);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The numbers, row-major, once the device has computed them. */
  async data(): Promise<Float32Array<ArrayBuffer>> {
    if (this.type !== 'f32')
      throw new ShapeError(`data: the tensor holds ${this.type} indices; use indices()`);
    const bytes = await bytesOf(this);
    if (!this.storage.isHalf) return new Float32Array(bytes);
    return Float32Array.from(new Uint16Array(bytes, 0, this.size), halfToFloat);
  }

  /** The indices of a u32 tensor, row-major. */
  async indices(): Promise<Uint32Array<ArrayBuffer>> {
    if (this.type !== 'u32')
      throw new ShapeError(`indices: the tensor holds ${this.type} numbers; use data()`);
    return new Uint32Array(await bytesOf(this));
  }
}

const piece = ({ storage, size }: Tensor): Piece => ({ storage, bytes: bytesIn(storage, size) });

/** A copy of a tensor's bytes. */
async function bytesOf(x: Tensor): Promise<ArrayBuffer> {
  const found = x.storage.host?.bytes;
  if (found) return found.slice(0);
  const [bytes] = await read(x.device, [piece(x)]);
  return bytes!;
}

/**
 * Copies the numbers of tensors of one device to the host, all with one wait. They stay there for as long as the tensors
 * live, so that `data()` need not wait again.
 */
export async function toHost(tensors: readonly Tensor[]): Promise<void> {
  const [first] = tensors;
  if (first === undefined) return;
  checkDevices('toHost', tensors);
  const pieces = tensors.map(piece);
  // Set before waiting: a storage that is written meanwhile drops its copy, and must find this one to drop.
  const hosts = pieces.map(({ storage }) => {
    storage.host ??= {};
    return storage.host;
  });
  const found = await read(first.device, pieces);
  for (const [i, bytes] of found.entries()) hosts[i]!.bytes = bytes;
}

/** Refuses tensors of several devices, a dry one among them, in the name of a function. */
export function checkDevices(name: string, tensors: readonly Tensor[]): void {
  const first = tensors[0]!;
  const at = tensors.findIndex(({ device }) => device.memory !== first.device.memory);
  if (at < 0) return;
  const [one, other] = [first.device.name, tensors[at]!.device.name];
  throw new MixedDevicesError(
    `${name}: tensor 0 of shape ${show(first.shape)} is on ${one}, tensor ${at} of shape ` +
      `${show(tensors[at]!.shape)} on ${one === other ? 'another opening of it' : other}; ` +
      'make both on one device: its numbers, from data(), go there by tensor()',
  );
}

/**
 * A tensor with the given row-major numbers.
 *
 * @throws {ShapeError} where they do not fill the shape.
 */
export function tensor(device: Device, data: ArrayLike<number>, shape: Shape): Tensor {
  checkFills(data.length, shape);
  return upload(device, Float32Array.from(data), shape, 'f32');
}

/**
 * A weight with the given row-major numbers: as `tensor`, or, on a device of half precision, stored so, unless one of them
 * is beyond what that holds.
 */
export function weightTensor(device: Device, data: ArrayLike<number>, shape: Shape): Tensor {
  const fits = () => Array.prototype.every.call(data, (x: number) => Math.abs(x) <= LARGEST_HALF);
  if (device.precision === 'f32' || !fits()) return tensor(device, data, shape);
  checkFills(data.length, shape);
  const halves = new Uint16Array(2 * Math.ceil(data.length / 2));
  for (let i = 0; i < data.length; i++) halves[i] = floatToHalf(data[i]!);
  return upload(device, new Uint32Array(halves.buffer), shape, 'f32', true);
}

/**
 * A tensor of row-major indices, which are whole numbers from 0.
 *
 * @throws {ShapeError} where they are not, or do not fill the shape.
 */
export function indexTensor(device: Device, data: ArrayLike<number>, shape: Shape): Tensor {
  const indices = Uint32Array.from(data);
  const wrong = indices.findIndex((index, i) => index !== data[i]);
  if (wrong >= 0) {
    throw new ShapeError(
      `indexTensor: ${data[wrong]} at ${wrong} is no index; indices are whole numbers from 0`,
    );
  }
  checkFills(data.length, shape);
  const made = upload(device, indices, shape, 'u32');
  made.storage.below = indices.reduce((below, index) => Math.max(below, index + 1), 0);
  return made;
}

/** Refuses what is no shape, and a number of elements that does not fill it. */
function checkFills(count: number, shape: Shape): void {
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new ShapeError(`tensor: ${show(shape)} is no shape; sizes are whole numbers from 0`);
  }
  if (count !== sizeOf(shape)) {
    throw new ShapeError(`tensor: ${count} numbers do not fill the shape ${show(shape)} (${sizeOf(shape)})`);
  }
}

function upload(
  device: Device,
  data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  shape: Shape,
  type: DataType,
  isHalf = false,
): Tensor {
  const storage = { ...allocate(device.memory, data.byteLength, 'tensor', device.memory.largest), isHalf };
  const made = new Tensor(device, shape, storage, type);
  try {
    write(device, storage, data);
  } catch (error) {
    made.dispose();
    throw error;
  }
  return made;
}

/** A tensor not yet filled; for operations that write it. */
export function empty(device: Device, shape: Shape, type: DataType, purpose: string): Tensor {
  return new Tensor(device, shape, allocate(device.memory, sizeOf(shape) * 4, purpose), type);
}

/** A tensor of a shape alone; for a dry device. */
export const placeholder = (device: Device, shape: Shape): Tensor => empty(device, shape, 'f32', 'shape');

/** The same numbers under another shape or node; shares storage. */
export function alias(x: Tensor, shape: Shape = x.shape, node?: TapeNode<Tensor>): Tensor {
  return new Tensor(x.device, shape, x.storage, x.type, node);
}

/** Rows of a matrix from `first` on, beginning at whole 256 bytes, where they lie. */
export function rowsWithin(x: Tensor, first: number, shape: Shape): Tensor {
  const { storage } = x;
  const [start, size] = [first * x.shape.at(-1)!, sizeOf(shape)].map((n) => bytesIn(storage, n));
  return new Tensor(x.device, shape, partOf(storage, start!, size!), x.type);
}

/** Runs `make` outside every scope: what it makes lives until it is disposed. For the tape and for caches. */
export function unowned<T>(make: () => T): T {
  const outer = current;
  current = undefined;
  try {
    return make();
  } finally {
    current = outer;
  }
}

const AsyncFunction = (async () => {}).constructor;

/** Refuses asynchronous functions before they run, in the name of the function that was given one. */
export function assertSynchronous(name: string, body: (...args: never[]) => unknown): void {
  if (body instanceof AsyncFunction)
    throw new ScopeError(`${name}: the function is asynchronous; ${OUTSIDE}`);
}

/** Refuses what waits for the device inside a scope. */
export function assertOutsideScopes(name: string): void {
  if (current !== undefined)
    throw new ScopeError(`${name}: it waits for the device, and a scope around it would not; ${OUTSIDE}`);
}

const OUTSIDE = 'return tensors, and await what is made of them outside';

/**
 * Runs `body` and disposes every tensor made in it except those it returns (alone, in arrays, maps or plain
 * objects), which then belong to the scope outside. `body` must not be asynchronous: read data outside.
 *
 * @throws {ScopeError} if it is, or gives promises.
 */
export function scope<T>(body: () => T): T {
  assertSynchronous('scope', body);
  const outer = current;
  const mine = new Set<Tensor>();
  current = mine;
  let kept: ReadonlySet<Tensor> = new Set();
  try {
    const result = body();
    const { tensors, promises } = contentsOf(result);
    // Whatever becomes of them, what they worked with is gone: that is what is said.
    for (const promise of promises) promise.catch(() => undefined);
    if (promises.size > 0) throw new ScopeError(`scope: the body returned a promise; ${OUTSIDE}`);
    kept = tensors;
    return result;
  } finally {
    current = outer;
    for (const made of mine) {
      if (!kept.has(made)) made.dispose();
      else outer?.add(made);
    }
  }
}

/** Work that waits for the device on its way: each `yield` of tensors gives their numbers. */
export type Steps<T> = Generator<readonly Tensor[], T, readonly Float32Array[]>;

/**
 * A scope that may wait: what is made between two steps belongs to it, and not what others make while it waits. The tensors
 * that the last step returns live until they are disposed. `signal` ends it between two steps, with the signal's reason.
 */
export async function scopeInSteps<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  const mine = new Set<Tensor>();
  let kept: ReadonlySet<Tensor> = new Set();
  const next = (numbers: readonly Float32Array[]) => {
    const outer = current;
    current = mine;
    try {
      return steps.next(numbers);
    } finally {
      current = outer;
    }
  };
  try {
    let step = next([]);
    while (!step.done) {
      await toHost(step.value);
      const numbers = await Promise.all(step.value.map((x) => x.data()));
      signal?.throwIfAborted();
      step = next(numbers);
    }
    kept = contentsOf(step.value).tensors;
    return step.value;
  } finally {
    for (const made of mine) if (!kept.has(made)) made.dispose();
  }
}

/** The tensors and promises in a value: alone, in arrays, maps and plain objects, which may lead round to themselves. */
function contentsOf(value: unknown): { tensors: Set<Tensor>; promises: Set<Promise<unknown>> } {
  const tensors = new Set<Tensor>();
  const promises = new Set<Promise<unknown>>();
  const seen = new Set<unknown>();
  const waiting = [value];
  while (waiting.length > 0) {
    const one = waiting.pop();
    if (one === null || typeof one !== 'object' || seen.has(one)) continue;
    seen.add(one);
    if (one instanceof Tensor) tensors.add(one);
    else if (one instanceof Promise) promises.add(one);
    else if (Array.isArray(one)) waiting.push(...one);
    else if (one instanceof Map) waiting.push(...one.values());
    else if (Object.getPrototypeOf(one) === Object.prototype) waiting.push(...Object.values(one));
  }
  return { tensors, promises };
}
