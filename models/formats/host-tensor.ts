// Tensors in host memory: what the file formats read and write.

/** A tensor in host memory: `data` holds the product of `shape` elements in C (row-major) order. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The named parameters and buffers of a model. */
export type StateDict = ReadonlyMap<string, HostTensor>;

/**
 * The number of elements of a shape that a file declares (1 for the empty shape), or undefined if a dimension
 * is not a non-negative safe integer or a partial product is too large to be one.
 */
export function elementCount(shape: readonly unknown[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    if (!isSize(size)) return undefined;
    count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/** Whether a value read from a file can be a size or an offset: a non-negative safe integer. */
export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}
