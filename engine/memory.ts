// GPU memory: reference-counted storage, a pool of free buffers, a budget.
// A storage lives while a tensor refers to it (the tape refers through tensors too); then its buffer goes to the
// pool and serves the next allocation of its size. Commands run in order, so a buffer may be reused while commands
// that read it are still waiting.

import { MemoryBudgetError } from './errors.ts';

/** A buffer and its number, in the order of making, which no other buffer of any device has. */
interface Numbered {
  readonly number: number;
  /** Undefined on a dry device. */
  readonly buffer: GPUBuffer | undefined;
}

/** The memory that holds a tensor's numbers; several tensors may share one (reshape). */
export interface Storage extends Numbered {
  readonly memory: Memory;
  /** Where it begins in its buffer, and its size there, in bytes. */
  readonly offset: number;
  readonly size: number;
  /** The storage of which this is a part. A part has no buffer: it lies in the whole's, which counts its references. */
  readonly whole?: Storage;
  /** Its parts, by their offsets; see `partOf`. */
  readonly parts: Map<number, Storage>;
  references: number;
  /** The number of the submit, counted on its device, in which it was last written. */
  epoch: number;
  /** Whether its numbers are stored in half precision. */
  readonly isHalf?: boolean;
  /** Where the storage holds indices: a number that is larger than each of them. */
  below?: number;
  /** Copies of it in the order a kernel wants, by name; see `keep`. */
  readonly copies: Map<string, Storage>;
  /** Its bytes on the host, as soon as they have come; see `toHost`. */
  host: { bytes?: ArrayBuffer } | undefined;
}

/** Where buffers come from. */
interface Source {
  /** Most bytes that live and pooled buffers may take together. */
  readonly budget: number;
  /** Why not more, in words. */
  readonly bound: string;
  /** Most bytes that they may take together with destroyed ones, which the device gives back once its work is done. */
  readonly ceiling: number;
  /** Most bytes of one buffer. */
  readonly largest: number;
  /** Most bytes that a kernel sees of one: results are no larger, what is uploaded may be. */
  readonly binding: number;
  readonly create: (bytes: number) => GPUBuffer | undefined;
  /**
   * Submits what is recorded, since a buffer may only be destroyed when no waiting command uses it; resolves, and never
   * rejects, once it has run.
   */
  readonly settle: () => Promise<unknown>;
}

export interface Memory extends Source {
  /**
   * Buffers in no use, by their size. The oldest is taken first, whatever the order in which they came back: so a
   * repeated computation gets the same buffers again, and with them the bind groups made for them.
   */
  readonly free: Map<number, Numbered[]>;
  /** Storages with copies, which go first when memory is short. */
  readonly copied: Set<Storage>;
  liveBytes: number;
  pooledBytes: number;
  /** Bytes of destroyed buffers that the device may still use, for work that was given to it before. */
  destroyedBytes: number;
}

export const createMemory = (source: Source): Memory => ({
  ...source,
  free: new Map(),
  copied: new Set(),
  liveBytes: 0,
  pooledBytes: 0,
  destroyedBytes: 0,
});

/** Buffers made so far, on all devices: caches know a buffer by its number. */
let numbers = 0;

/** Sizes are rounded up to quarter powers of two, so that buffers of similar shapes are exchangeable. */
function bucket(bytes: number): number {
  const size = 2 ** (Math.ceil(4 * Math.log2(Math.max(256, bytes))) / 4);
  return Math.ceil(size / 256) * 256;
}

export const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/**
 * Storage for at least `bytes`, of which there may be no more than `largest`; its contents are whatever was there.
 * `purpose` names the caller in errors.
 */
export function allocate(
  memory: Memory,
  bytes: number,
  purpose: string,
  largest: number = memory.binding,
): Storage {
  const { free, budget, bound } = memory;
  if (bytes > largest) {
    throw new MemoryBudgetError(
      `${purpose}: one tensor of ${megabytes(bytes)} is more than this device ` +
        `${largest === memory.binding ? 'binds at once' : 'holds in one buffer'} (${megabytes(largest)}); ` +
        'use smaller batches or images, or layers with fewer weights',
    );
  }
  const most = bytes <= memory.binding ? memory.binding : largest;
  const size = Math.min(bucket(bytes), Math.floor(most / 256) * 256);
  const reused = free.get(size)?.pop();
  if (reused) memory.pooledBytes -= size;
  else if (memory.liveBytes + memory.pooledBytes + size > budget) {
    if (memory.liveBytes + size > budget) for (const storage of memory.copied) forget(storage);
    trim(memory, Math.max(0, budget - memory.liveBytes - size));
  }
  if (memory.liveBytes + size > budget) {
    throw new MemoryBudgetError(
      `${purpose}: ${megabytes(bytes)} more would exceed the memory budget of ${megabytes(budget)}, ` +
        `${bound} (${megabytes(memory.liveBytes)} in use); use smaller batches or open the device with a larger memoryBudget`,
    );
  }
  const { liveBytes, pooledBytes, destroyedBytes, ceiling } = memory;
  if (!reused && liveBytes + pooledBytes + destroyedBytes + size > ceiling) {
    throw new MemoryBudgetError(
      `${purpose}: ${megabytes(bytes)} more would exceed the ${megabytes(ceiling)} that this machine can give ` +
        `(${megabytes(liveBytes + pooledBytes)} in use, and ${megabytes(destroyedBytes)} until the device has caught up); ` +
        'use smaller batches or images',
    );
  }
  memory.liveBytes += size;
  const { number, buffer } = reused ?? { number: numbers++, buffer: memory.create(size) };
  return {
    memory,
    number,
    size,
    buffer,
    references: 0,
    epoch: -1,
    offset: 0,
    parts: new Map(),
    copies: new Map(),
    host: undefined,
  };
}

/** Some of a storage, for a kernel to see no more of it; `offset` is whole 256 bytes. The same is given every time. */
export function partOf(whole: Storage, offset: number, size: number): Storage {
  const found = whole.parts.get(offset);
  if (found?.size === size) return found;
  const { memory, buffer } = whole;
  const { isHalf = false } = whole;
  const part = { memory, buffer, number: whole.number, offset, size, whole, isHalf, references: 0 };
  const made: Storage = { ...part, epoch: whole.epoch, copies: new Map(), host: undefined, parts: new Map() };
  whole.parts.set(offset, made);
  return made;
}

/** Bytes that some numbers take in a storage. */
export const bytesIn = ({ isHalf }: Storage, count: number): number =>
  isHalf ? 4 * Math.ceil(count / 2) : 4 * count;

export function retain(storage: Storage): void {
  (storage.whole ?? storage).references++;
}

/** Gives up one reference; the last one returns the buffer to the pool. */
export function release(given: Storage): void {
  const storage = given.whole ?? given;
  if (--storage.references > 0) return;
  const { memory, number, buffer, size } = storage;
  forget(storage);
  memory.liveBytes -= size;
  memory.pooledBytes += size;
  const list = memory.free.get(size) ?? [];
  memory.free.set(size, list);
  let at = list.length;
  while (at > 0 && list[at - 1]!.number < number) at--;
  list.splice(at, 0, { number, buffer });
}

/**
 * The copy of `storage` called `name`: made once, and freed with the storage, when the storage is written again, or
 * when memory is short. `make` gives it filled; the caller retains what it uses.
 */
export function keep(storage: Storage, name: string, make: () => Storage): Storage {
  const found = storage.copies.get(name);
  if (found) return found;
  const made = make();
  retain(made);
  storage.copies.set(name, made);
  storage.memory.copied.add(storage);
  return made;
}

/** Gives up the copies of a storage and of its parts. */
export function forget(storage: Storage): void {
  storage.host = undefined;
  for (const part of storage.parts.values()) forget(part);
  if (storage.copies.size === 0) return;
  for (const copy of storage.copies.values()) release(copy);
  storage.copies.clear();
  storage.memory.copied.delete(storage);
}

/** Destroys pooled buffers, the largest first, until no more than `most` bytes are left of them. */
export function trim(memory: Memory, most = 0): void {
  if (memory.pooledBytes <= most) return;
  const done = memory.settle();
  const before = memory.pooledBytes;
  for (const [size, list] of [...memory.free].sort(([a], [b]) => b - a)) {
    while (memory.pooledBytes > most && list.length > 0) {
      list.pop()!.buffer?.destroy();
      memory.pooledBytes -= size;
    }
  }
  const destroyed = before - memory.pooledBytes;
  memory.destroyedBytes += destroyed;
  done.then(() => {
    memory.destroyedBytes -= destroyed;
  });
}
