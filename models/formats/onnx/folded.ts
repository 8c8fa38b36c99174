// Operators that occur in arithmetic on shapes and in the making of masks: they are computed when the file is read, and
// refused where their inputs depend on the picture.

import { type Constant, checkedIndices, constant, map, type NumberType, stridesOf } from '../constant.ts';
import { FormatError } from '../errors.ts';
import type { Builder, Call } from './call.ts';

const needed = (call: Call, index: number): Constant => {
  call.input(index);
  return call.constant(index)!;
};

/** f of each element, or of each pair of broadcast ones. */
const elementwise =
  (arity: 1 | 2, f: (...values: number[]) => number, type?: NumberType): Builder =>
  (call) => {
    const inputs = [0, 1].slice(0, arity).map((index) => needed(call, index));
    return call.fold(() => map(type ?? inputs[0]!.type, f, ...inputs), ...inputs);
  };

/** The remainder has the divisor's sign, or with fmod = 1 the dividend's. */
const mod: Builder = (call) => {
  const fmod = call.int('fmod', 0) !== 0;
  return elementwise(2, (a, b) => (fmod ? a % b : a - b * Math.floor(a / b)))(call);
};

/** A copy in which the slices that `indices` [..., k] name by their first k coordinates are replaced. */
const scatterND: Builder = (call) => {
  if (call.text('reduction', 'none') !== 'none') throw new FormatError('its reduction is not supported');
  const [data, indices, updates] = [0, 1, 2].map((index) => needed(call, index)) as [
    Constant,
    Constant,
    Constant,
  ];
  const depth = indices.shape.at(-1) ?? 0;
  const strides = stridesOf(data.shape).slice(0, depth);
  const size = data.shape.slice(depth).reduce((product, n) => product * n, 1);
  const count = indices.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  if (depth > data.shape.length || updates.data.length !== count * size) {
    throw new FormatError(`updates [${updates.shape.join(', ')}] do not fit [${data.shape.join(', ')}]`);
  }
  const scatter = () => {
    const result = constant(data.type, data.shape, data.data);
    for (let i = 0; i < count; i++) {
      const place = strides.reduce((sum, stride, axis) => {
        const one = indices.data.subarray(i * depth + axis, i * depth + axis + 1);
        const [index] = checkedIndices({ ...indices, data: one }, data.shape[axis]!);
        return sum + stride * index!;
      }, 0);
      result.data.set(updates.data.subarray(i * size, (i + 1) * size), place);
    }
    return result;
  };
  return call.fold(scatter, data, indices, updates);
};

/** Halves go to the even neighbour. */
const roundToEven = (x: number): number => {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2 === 0 ? 0 : 1) : Math.round(x);
};

/** Coordinates of what is not 0, one column each: [rank, count]. */
const nonZero: Builder = (call) => {
  const x = needed(call, 0);
  return call.fold(() => {
    const found = Array.from(x.data.keys()).filter((i) => x.data[i] !== 0);
    const strides = stridesOf(x.shape);
    const coordinates = strides.flatMap((stride, axis) =>
      found.map((i) => Math.floor(i / stride) % x.shape[axis]!),
    );
    return constant('int', [x.shape.length, found.length], coordinates);
  }, x);
};

/** The branch that a known condition takes, as if it stood in the file in place of the choice. */
const branch: Builder = (call) => {
  const taken = needed(call, 0).data[0] !== 0 ? 'then_branch' : 'else_branch';
  const graph = call.attribute(taken)?.graph;
  if (graph === undefined) throw new FormatError(`it has no ${taken}`);
  return call.walk(graph);
};

export const folded: Readonly<Record<string, Builder>> = {
  Floor: elementwise(1, Math.floor),
  Ceil: elementwise(1, Math.ceil),
  Round: elementwise(1, roundToEven),
  Mod: mod,
  NonZero: nonZero,
  ScatterND: scatterND,
  If: branch,
};
