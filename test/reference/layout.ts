// Operations that move elements without changing them.

import { type Array64, array, build, check, normaliseAxis, offsetOf, stridesOf } from './array.ts';

export function reshape(x: Array64, shape: readonly number[]): Array64 {
  return array(shape, x.data);
}

/** Axis i of the result is axis permutation[i] of x. */
export function transpose(x: Array64, permutation: readonly number[]): Array64 {
  check(
    String([...permutation].sort((a, b) => a - b)) === String(x.shape.map((_, axis) => axis)),
    `[${permutation}] does not permute the axes of [${x.shape}]`,
  );
  const strides = stridesOf(x.shape);
  const permuted = permutation.map((axis) => strides[axis]);
  return build(
    permutation.map((axis) => x.shape[axis]),
    (index) => x.data[offsetOf(permuted, index)],
  );
}

/**
 * x[start:end:step] along each axis, as in NumPy: negative bounds count from the end, then bounds are clamped.
 * With a negative step an end of -Infinity (NumPy's None) goes down to index 0.
 */
export function slice(
  x: Array64,
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = starts.map(() => 1),
): Array64 {
  check(
    [starts, ends, steps].every((list) => list.length === x.shape.length),
    `a start, end and step for each axis of [${x.shape}]`,
  );
  check(!steps.includes(0), 'a step of 0');
  const bound = (value: number, axis: number) => {
    const length = x.shape[axis];
    const [low, high] = steps[axis] > 0 ? [0, length] : [-1, length - 1];
    return Math.min(Math.max(value < 0 ? value + length : value, low), high);
  };
  const first = starts.map(bound);
  const past = ends.map(bound);
  const shape = steps.map((step, axis) => Math.max(0, Math.ceil((past[axis] - first[axis]) / step)));
  const strides = stridesOf(x.shape);
  const start = offsetOf(strides, first);
  const stepped = strides.map((stride, axis) => stride * steps[axis]);
  return build(shape, (index) => x.data[start + offsetOf(stepped, index)]);
}

/** Mirrors a position outside 0..length-1 at the first and last element, which are not repeated. */
function reflect(position: number, length: number): number {
  const period = Math.max(1, 2 * (length - 1));
  const folded = ((position % period) + period) % period;
  return folded < length ? folded : period - folded;
}

/**
 * Adds before[axis] and after[axis] elements along each axis: `value`, or, as numpy.pad defines them, the
 * mirrored array ('reflect') or its border ('edge').
 */
export function pad(
  x: Array64,
  before: readonly number[],
  after: readonly number[],
  mode: 'constant' | 'reflect' | 'edge' = 'constant',
  value = 0,
): Array64 {
  check(
    [before, after].every((list) => list.length === x.shape.length && list.every((count) => count >= 0)),
    `a count before and after each axis of [${x.shape}]`,
  );
  check(mode === 'constant' || x.data.length > 0, `mode ${mode} needs elements to repeat`);
  const strides = stridesOf(x.shape);
  return build(
    x.shape.map((length, axis) => length + before[axis] + after[axis]),
    (index) => {
      const source = index.map((i, axis) => i - before[axis]);
      const inside = source.every((i, axis) => i >= 0 && i < x.shape[axis]);
      if (mode === 'constant') return inside ? x.data[offsetOf(strides, source)] : value;
      const moved = source.map((i, axis) =>
        mode === 'edge' ? Math.min(Math.max(i, 0), x.shape[axis] - 1) : reflect(i, x.shape[axis]),
      );
      return x.data[offsetOf(strides, moved)];
    },
  );
}

export function concat(parts: readonly Array64[], axis: number): Array64 {
  check(parts.length > 0, 'nothing to concatenate');
  const [head] = parts;
  const along = normaliseAxis(axis, head.shape.length);
  const others = (part: Array64) => String(part.shape.with(along, 0));
  check(
    parts.every((part) => part.shape.length === head.shape.length && others(part) === others(head)),
    `concat of ${parts.map((part) => `[${part.shape}]`).join(', ')} along axis ${axis}`,
  );
  const total = parts.reduce((length, part) => length + part.shape[along], 0);
  return build(head.shape.with(along, total), (index) => {
    let rest = index[along];
    let p = 0;
    while (rest >= parts[p].shape[along]) rest -= parts[p++].shape[along];
    return parts[p].data[offsetOf(stridesOf(parts[p].shape), index.with(along, rest))];
  });
}

/** numpy.take, ONNX's Gather: the axis is replaced by the axes of `indices`. Negative indices count from the end. */
export function gather(x: Array64, indices: Array64, axis: number): Array64 {
  const along = normaliseAxis(axis, x.shape.length);
  const length = x.shape[along];
  check(
    indices.data.every((i) => Number.isInteger(i) && i >= -length && i < length),
    `an index outside axis ${axis} of [${x.shape}]`,
  );
  const strides = stridesOf(x.shape);
  const indexStrides = stridesOf(indices.shape);
  const width = indices.shape.length;
  return build([...x.shape.slice(0, along), ...indices.shape, ...x.shape.slice(along + 1)], (index) => {
    const picked = indices.data[offsetOf(indexStrides, index.slice(along, along + width))];
    const source = [
      ...index.slice(0, along),
      picked < 0 ? picked + length : picked,
      ...index.slice(along + width),
    ];
    return x.data[offsetOf(strides, source)];
  });
}
