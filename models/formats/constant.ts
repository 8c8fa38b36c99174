// Values that are known when a file is read: initializers, constants, shapes, and what is computed from them. The small
// table of operators that folding needs, on plain arrays.

import { FormatError } from './errors.ts';
import { elementCount } from './host-tensor.ts';

/** What the numbers mean. Integers beyond 2^53 are rounded: only "to the end" is written so. */
export type NumberType = 'float' | 'int' | 'bool';

/** A known value: float32 for floats, float64 for integers and booleans (0 and 1), row-major. */
export interface Constant {
  readonly type: NumberType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
  /** The initializer's name, where it is one. */
  readonly name?: string;
  /** The element type in the file, where it matters: "uint8", "int8". */
  readonly element?: string;
}

/** Elements that one folded value may have: larger ones are no arithmetic on shapes. */
const LARGEST = 2 ** 22;

/** The number of elements of a shape that is about to be made; refuses what no network needs beyond `given`. */
export function checkedCount(shape: readonly number[], given = 0): number {
  const count = elementCount(shape);
  if (count === undefined || count > Math.max(LARGEST, given)) {
    throw new FormatError(
      `its result [${shape.join(', ')}], which does not depend on the picture, is larger than any network's; the file is damaged`,
    );
  }
  return count;
}

const make = (type: NumberType, count: number) =>
  type === 'float' ? new Float32Array(count) : new Float64Array(count);

/** A known value of given numbers; integers are truncated towards zero. */
export function constant(
  type: NumberType,
  shape: readonly number[],
  numbers: ArrayLike<number> | ((i: number) => number),
): Constant {
  const count = checkedCount(shape, typeof numbers === 'function' ? 0 : numbers.length);
  const data = make(type, count);
  for (let i = 0; i < count; i++) {
    const value = typeof numbers === 'function' ? numbers(i) : numbers[i]!;
    data[i] = type === 'int' ? Math.trunc(value) : type === 'bool' ? Number(value !== 0) : value;
  }
  return { type, shape, data };
}

export const ints = (numbers: readonly number[]): Constant => constant('int', [numbers.length], numbers);

/** Row-major steps of a shape's axes. */
export const stridesOf = (shape: readonly number[]): number[] => {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
};

/** Calls `visit` with the offset of each element of a strided window, in row-major order. */
function walk(
  shape: readonly number[],
  strides: readonly number[],
  start: number,
  visit: (offset: number, i: number) => void,
): void {
  const count = elementCount(shape)!;
  const at = shape.map(() => 0);
  let offset = start;
  for (let i = 0; i < count; i++) {
    visit(offset, i);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += strides[axis]!;
      if (++at[axis]! < shape[axis]!) break;
      offset -= strides[axis]! * shape[axis]!;
      at[axis] = 0;
    }
  }
}

/** The elements of `x` seen through strides. */
export function strided(
  x: Constant,
  shape: readonly number[],
  strides: readonly number[],
  start = 0,
): Constant {
  const data = make(x.type, checkedCount(shape, x.data.length));
  walk(shape, strides, start, (offset, i) => {
    data[i] = x.data[offset]!;
  });
  return { type: x.type, shape, data };
}

export const reshape = (x: Constant, shape: readonly number[]): Constant => {
  if (elementCount(shape) !== x.data.length) {
    throw new FormatError(`[${x.shape.join(', ')}] cannot be reshaped to [${shape.join(', ')}]`);
  }
  return { type: x.type, shape, data: x.data };
};

export const transpose = (x: Constant, order: readonly number[]): Constant => {
  const strides = stridesOf(x.shape);
  return strided(
    x,
    order.map((axis) => x.shape[axis]!),
    order.map((axis) => strides[axis]!),
  );
};

/** NumPy's broadcasting of several shapes. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const size = sizes.find((n) => n !== 1) ?? 1;
    if (sizes.some((n) => n !== 1 && n !== size)) {
      throw new FormatError(
        `shapes ${shapes.map((s) => `[${s.join(', ')}]`).join(' and ')} do not broadcast`,
      );
    }
    return size;
  });
}

export function broadcastTo(x: Constant, shape: readonly number[]): Constant {
  const strides = stridesOf(x.shape);
  const lead = shape.length - x.shape.length;
  return strided(
    x,
    shape,
    shape.map((_, axis) => (axis < lead || x.shape[axis - lead] === 1 ? 0 : strides[axis - lead]!)),
  );
}

/** f of each element, or of each pair or triple of broadcast ones. */
export function map(
  type: NumberType,
  f: (...values: number[]) => number,
  ...inputs: readonly Constant[]
): Constant {
  const shape = broadcastShapes(...inputs.map((x) => x.shape));
  const largest = Math.max(...inputs.map((x) => x.data.length));
  const count = checkedCount(shape, largest);
  const wide = inputs.map((x) => (x.data.length === count ? x : broadcastTo(x, shape)));
  const data = Float64Array.from({ length: count }, (_, i) => f(...wide.map((x) => x.data[i]!)));
  return constant(type, shape, data);
}

export function slice(
  x: Constant,
  starts: readonly number[],
  steps: readonly number[],
  counts: readonly number[],
): Constant {
  const strides = stridesOf(x.shape);
  const start = strides.reduce((sum, stride, axis) => sum + stride * starts[axis]!, 0);
  return strided(
    x,
    counts,
    strides.map((stride, axis) => stride * steps[axis]!),
    start,
  );
}

/** `length` places of an axis, from `start` on. */
export const narrow = (x: Constant, axis: number, start: number, length: number): Constant =>
  slice(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map(() => 1),
    x.shape.map((n, i) => (i === axis ? length : n)),
  );

/** One after the other along an axis. */
export function concat(parts: readonly Constant[], axis: number): Constant {
  const [first] = parts as [Constant];
  const fits = parts.every(
    ({ shape }) =>
      shape.length === first.shape.length && shape.every((n, i) => i === axis || n === first.shape[i]),
  );
  if (!fits) {
    throw new FormatError(
      `${parts.map((x) => `[${x.shape.join(', ')}]`).join(', ')} cannot be joined along axis ${axis}: their other axes differ`,
    );
  }
  const total = parts.reduce((sum, x) => sum + x.shape[axis]!, 0);
  const shape = first.shape.map((n, i) => (i === axis ? total : n));
  const given = parts.reduce((sum, x) => sum + x.data.length, 0);
  const data = make(first.type, checkedCount(shape, given));
  const inner = stridesOf(shape)[axis]!;
  let offset = 0;
  for (const x of parts) {
    const row = x.shape[axis]! * inner;
    for (let from = 0, to = offset; from < x.data.length; from += row, to += total * inner) {
      data.set(x.data.subarray(from, from + row), to);
    }
    offset += row;
  }
  return { type: first.type, shape, data };
}

/** The slices of an axis that indices name; negative ones count from the end. */
export function gather(x: Constant, indices: Constant, axis: number): Constant {
  const n = x.shape[axis]!;
  const inner = stridesOf(x.shape)[axis]!;
  const outer = x.shape.slice(0, axis).reduce((product, size) => product * size, 1);
  const chosen = checkedIndices(indices, n);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const data = make(x.type, checkedCount(shape, x.data.length));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const index of chosen) {
      const from = (o * n + index) * inner;
      data.set(x.data.subarray(from, from + inner), to);
      to += inner;
    }
  }
  return { type: x.type, shape, data };
}

/** Indices into an axis of n, from 0. */
export function checkedIndices(indices: Constant, n: number): number[] {
  return Array.from(indices.data, (value) => {
    const index = value < 0 ? value + n : value;
    if (Number.isInteger(index) && index >= 0 && index < n) return index;
    throw new FormatError(`its index ${value} is outside an axis of ${n} elements`);
  });
}

/** f over the elements along `axes`, which stay with size 1. */
export function reduce(
  x: Constant,
  axes: readonly number[],
  f: (values: readonly number[]) => number,
): Constant {
  const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const strides = stridesOf(x.shape);
  const windowShape = axes.map((axis) => x.shape[axis]!);
  const windowStrides = axes.map((axis) => strides[axis]!);
  const data = make(x.type, checkedCount(kept, x.data.length));
  walk(kept, strides, 0, (start, i) => {
    const values: number[] = [];
    walk(windowShape, windowStrides, start, (offset) => {
      values.push(x.data[offset]!);
    });
    data[i] = x.type === 'int' ? Math.trunc(f(values)) : f(values);
  });
  return { type: x.type, shape: kept, data };
}
