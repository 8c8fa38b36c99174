// The float64 array that every reference operation takes and gives, and the index arithmetic they share.
// Contiguous row-major; images are [N, C, H, W].

export interface Array64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Throws when a reference operation is called outside its definition: the test is wrong, not the engine. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new RangeError(`reference: ${message}`);
}

/** The number of elements of a shape; 1 for a scalar's `[]`. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Copies `values` into an array of the given shape. */
export function array(shape: readonly number[], values: ArrayLike<number>): Array64 {
  check(
    shape.every((length) => Number.isInteger(length) && length >= 0),
    `[${shape}] is not a shape`,
  );
  check(values.length === sizeOf(shape), `${values.length} values do not fill [${shape}]`);
  return { shape: [...shape], data: Float64Array.from(values) };
}

export function filled(shape: readonly number[], value: number): Array64 {
  return { shape: [...shape], data: new Float64Array(sizeOf(shape)).fill(value) };
}

/** Elements between neighbours along each axis. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides: number[] = new Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

/** The position of a multi-index in the data. */
export function offsetOf(strides: readonly number[], index: readonly number[]): number {
  let offset = 0;
  for (let axis = 0; axis < index.length; axis++) offset += strides[axis] * index[axis];
  return offset;
}

/** Visits every multi-index of a shape in row-major order. `index` is reused: read it, do not keep it. */
export function forEachIndex(
  shape: readonly number[],
  visit: (index: readonly number[], position: number) => void,
): void {
  const index: number[] = new Array(shape.length).fill(0);
  const size = sizeOf(shape);
  for (let position = 0; position < size; position++) {
    visit(index, position);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/** An array whose element at each multi-index is `value(index)`. */
export function build(shape: readonly number[], value: (index: readonly number[]) => number): Array64 {
  const result = filled(shape, 0);
  forEachIndex(shape, (index, position) => {
    result.data[position] = value(index);
  });
  return result;
}

/** An axis counted from the front; negative ones count from the back. */
export function normaliseAxis(axis: number, rank: number): number {
  check(Number.isInteger(axis) && axis >= -rank && axis < rank, `axis ${axis} is outside rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}
