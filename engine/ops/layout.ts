// Operations that move elements without computing: index maps, concatenation, gathering. Adjoints in pairs.

import * as kernels from '../../kernels/layout/layout.ts';
import { figuresOf } from '../../kernels/profile.ts';
import { copy, run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { inFirst, jointly } from '../facts.ts';
import { allocate, partOf, type Storage } from '../memory.ts';
import { apply, type Operation, type Place } from '../operation.ts';
import { runParts } from '../parts.ts';
import { concatenatedPlaces, movedPlaces } from '../places.ts';
import { type Shape, sameShape, show, sizeOf, Tensor } from '../tensor.ts';
import { around, axisOf } from './axes.ts';
import { reshape, strided, whole } from './linear.ts';

/** All axes from `from` on as one: [N, C, H, W] -> [N, C H W]. */
export const flatten = (x: Tensor, from = 1): Tensor =>
  reshape(x, [...x.shape.slice(0, from), sizeOf(x.shape.slice(from))]);

/** Axes in another order: output axis i is input axis order[i]. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  if (order.length !== x.shape.length || [...order].sort((a, b) => a - b).some((axis, i) => axis !== i)) {
    throw new ShapeError(`transpose: [${order.join(', ')}] is no order of the axes of ${show(x.shape)}`);
  }
  // Where only axes of one element change places, the elements stay in theirs.
  const long = order.filter((axis) => x.shape[axis] !== 1);
  if (long.every((axis, i) => i === 0 || axis > long[i - 1]!)) {
    return reshape(
      x,
      order.map((axis) => x.shape[axis]!),
    );
  }
  const back = order.map((_, i) => order.indexOf(i));
  const maps = order.map((axis) => whole(axis, x.shape[axis]!));
  return apply(strided, [x], { maps, fill: 0, vjp: (d) => transpose(d, back) });
}

/** Elements start, start + step, … of every axis, `counts` of them; zeros where x has none. */
export function stridedWindow(
  x: Tensor,
  starts: readonly number[],
  steps: readonly number[],
  counts: readonly number[],
): Tensor {
  const rank = x.shape.length;
  if (starts.length !== rank || counts.length !== rank || steps.length !== rank || steps.includes(0)) {
    throw new ShapeError(`stridedWindow: ${show(x.shape)} needs ${rank} starts, non-zero steps and counts`);
  }
  const isAll = sameShape(counts, x.shape) && starts.every((start, i) => start === 0 && steps[i]! > 0);
  if (isAll) return reshape(x, counts);
  const maps = counts.map((size, axis) => ({ axis, size, mul: steps[axis]!, add: starts[axis]!, div: 1 }));
  return apply(strided, [x], {
    maps,
    fill: 0,
    vjp: (d, input) => unstridedWindow(d, starts, steps, input.shape),
  });
}

/** Adjoint of `stridedWindow`: the elements back in their places, zeros elsewhere. */
function unstridedWindow(
  d: Tensor,
  starts: readonly number[],
  steps: readonly number[],
  shape: Shape,
): Tensor {
  // A negative step is a reversed map: coordinate (start - o) / |step|.
  const maps = shape.map((size, axis) => {
    const direction = Math.sign(steps[axis]!);
    return { axis, size, mul: direction, add: -starts[axis]! * direction, div: Math.abs(steps[axis]!) };
  });
  return apply(strided, [d], {
    maps,
    fill: 0,
    vjp: (dd, input) => stridedWindow(dd, starts, steps, input.shape),
  });
}

/** x[starts:ends:steps] with one entry per axis; negative positions count from the end, ends are clamped (NumPy). */
export function slice(
  x: Tensor,
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = x.shape.map(() => 1),
): Tensor {
  const rank = x.shape.length;
  if (starts.length !== rank || ends.length !== rank || steps.length !== rank || steps.includes(0)) {
    throw new ShapeError(`slice: ${show(x.shape)} needs ${rank} starts, ends and non-zero steps`);
  }
  const place = (position: number, n: number, low: number, high: number) =>
    Math.min(Math.max(position < 0 ? position + n : position, low), high);
  const first = x.shape.map((n, i) =>
    steps[i]! > 0 ? place(starts[i]!, n, 0, n) : place(starts[i]!, n, -1, n - 1),
  );
  const counts = x.shape.map((n, i) => {
    const end = steps[i]! > 0 ? place(ends[i]!, n, 0, n) : place(ends[i]!, n, -1, n - 1);
    return Math.max(0, Math.ceil((end - first[i]!) / steps[i]!));
  });
  return stridedWindow(x, first, steps, counts);
}

/** `length` slices of one axis, from `start` on. */
export function narrow(x: Tensor, axis: number, start: number, length: number): Tensor {
  const at = axisOf('narrow', x.shape, axis);
  if (start < 0 || length < 0 || start + length > x.shape[at]!) {
    throw new ShapeError(`narrow: ${start}..${start + length} is outside axis ${axis} of ${show(x.shape)}`);
  }
  const starts = x.shape.map((_, i) => (i === at ? start : 0));
  const counts = x.shape.map((n, i) => (i === at ? length : n));
  return stridedWindow(
    x,
    starts,
    x.shape.map(() => 1),
    counts,
  );
}

/** Puts `before[i]` and `after[i]` elements of `value` around axis i; negative counts crop. */
export function pad(x: Tensor, before: readonly number[], after: readonly number[], value = 0): Tensor {
  if (before.length !== x.shape.length || after.length !== x.shape.length) {
    throw new ShapeError(`pad: ${show(x.shape)} needs ${x.shape.length} counts before and after`);
  }
  const shape = x.shape.map((n, i) => n + before[i]! + after[i]!);
  if (shape.some((n) => n < 0)) throw new ShapeError(`pad: ${show(x.shape)} would become ${show(shape)}`);
  const maps = shape.map((size, axis) => ({ ...whole(axis, size), add: -before[axis]! }));
  const negative = (counts: readonly number[]) => counts.map((n) => -n);
  return apply(strided, [x], { maps, fill: value, vjp: (d) => pad(d, negative(before), negative(after)) });
}

/** Parts that lie one behind the other in one storage, from its beginning on, as `sideBySide` has them written. */
function joined(parts: readonly Tensor[], shape: Shape, { axis }: { axis: number }): Tensor | undefined {
  const [{ device, storage }] = parts as [Tensor];
  const { whole } = storage;
  let end = 0;
  const lie = parts.every((x) => {
    const { offset, size } = x.storage;
    const follows = x.storage.whole === whole && offset === end && size === 4 * x.size;
    end += size;
    return follows;
  });
  if (whole === undefined || !lie || around(shape, axis).outer !== 1) return undefined;
  whole.epoch = Math.max(...parts.map((x) => x.storage.epoch));
  return new Tensor(device, shape, whole);
}

/**
 * Where to write what is to be concatenated along axis 1, so that `concat` need not move it: a place for each part, by how
 * many channels it has. That is possible for one image, whose channels are one behind the other, where each part begins at
 * whole 256 bytes, as WebGPU binds buffers; all other parts are written as usual.
 */
export function sideBySide(channels: readonly number[]): readonly Place[] {
  const total = channels.reduce((sum, n) => sum + n, 0);
  let made: { readonly whole: Storage; readonly plane: number } | undefined;
  let before = 0;
  return channels.map((count) => {
    const start = before;
    before += count;
    return (device, shape) => {
      const plane = sizeOf(shape.slice(2));
      if (shape[0] !== 1 || shape[1] !== count || channels.some((n) => (n * plane) % 64 !== 0))
        return undefined;
      made ??= { whole: allocate(device.memory, 4 * total * plane, 'concat'), plane };
      if (made.plane !== plane) return undefined;
      return new Tensor(device, shape, partOf(made.whole, 4 * start * plane, 4 * count * plane));
    };
  });
}

const concatenation: Operation<{ axis: number }> = {
  name: 'concat',
  shape: (inputs, { axis }) => {
    const [first] = inputs as [Tensor];
    const fits = inputs.every(
      (x) =>
        x.shape.length === first.shape.length && x.shape.every((n, i) => i === axis || n === first.shape[i]),
    );
    if (!fits) {
      throw new ShapeError(
        `concat: ${inputs.map((x) => show(x.shape)).join(', ')} differ along other axes than ${axis}`,
      );
    }
    const total = inputs.reduce((n, x) => n + x.shape[axis]!, 0);
    return first.shape.map((n, i) => (i === axis ? total : n));
  },
  view: joined,
  forward: (inputs, y, { axis }) => {
    const { outer, n: total, inner } = around(y.shape, axis);
    let offset = 0;
    const { placedAtOnce, copiesWhole } = figuresOf(y.device.profile);
    if (copiesWhole && outer === 1 && !inputs.some(({ storage }) => storage.isHalf)) {
      for (const { storage, size } of inputs) {
        copy(y.device, storage, y.storage, 4 * offset, 4 * size);
        offset += size;
      }
      return;
    }
    for (let i = 0; i < inputs.length; i += placedAtOnce) {
      const [a, b] = inputs.slice(i, i + placedAtOnce) as [Tensor, Tensor?];
      const sizes = [a.shape[axis]!, b?.shape[axis] ?? 0] as const;
      const launch = kernels.place(outer, sizes, inner, total, offset);
      run(y.device, launch, [a.storage, (b ?? a).storage], y.storage);
      offset += sizes[0] + sizes[1];
    }
  },
  vjp: (d, { inputs, needs, attributes: { axis } }) => {
    let offset = 0;
    return inputs.map((x, i) => {
      const start = offset;
      offset += x.shape[axis]!;
      return needs[i] ? narrow(d, axis, start, x.shape[axis]!) : undefined;
    });
  },
  places: (places, shape, { axis }, inputs) =>
    concatenatedPlaces(
      places,
      inputs.map((x) => x.shape[axis]!),
      shape,
      axis,
    ),
  affine: jointly,
};

/** Tensors one after the other along an axis; all other sizes must agree. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  if (first === undefined) throw new ShapeError('concat: nothing to put together');
  const at = axisOf('concat', first.shape, axis);
  return parts.length === 1 ? reshape(first, first.shape) : apply(concatenation, parts, { axis: at });
}

const gathering: Operation<{ axis: number }> = {
  name: 'gather',
  indices: { input: 1, of: ([x], { axis }) => x!.shape[axis]! },
  shape: ([x, indices], { axis }) => [...x!.shape.slice(0, axis), indices!.size, ...x!.shape.slice(axis + 1)],
  forward: ([x, indices], y, { axis }) => {
    const { outer, n, inner } = around(x!.shape, axis);
    run(y.device, kernels.take(outer, n, inner, indices!.size), [x!.storage, indices!.storage], y.storage);
  },
  vjp: (d, { inputs: [x, indices], attributes: { axis } }) => [
    apply(scattering, [d, indices!], { axis, n: x!.shape[axis]! }),
  ],
  places: ([places], shape, { axis: along }, [, indices]) => {
    const chosen = new Uint32Array(indices!.storage.host!.bytes!);
    return movedPlaces(
      places,
      shape,
      shape.map((_, axis) => ({ axis, at: (o) => (axis === along ? chosen[o] : o) })),
    );
  },
  affine: inFirst,
};

/** Adjoint of `gathering`. */
const scattering: Operation<{ axis: number; n: number }> = {
  name: 'scatter',
  indices: { input: 1, of: (_, { n }) => n },
  shape: ([d], { axis, n }) => d!.shape.map((size, i) => (i === axis ? n : size)),
  forward: ([d, indices], y, { axis }) => {
    const { outer, n, inner } = around(y.shape, axis);
    runParts(
      y.device,
      kernels.put(outer, n, inner, indices!.size),
      [d!.storage, indices!.storage],
      y.storage,
    );
  },
  vjp: (d, { inputs: [, indices], attributes: { axis } }) => [apply(gathering, [d, indices!], { axis })],
};

/** The slices of `axis` named by a list of u32 indices; a ShapeError where one is not below that axis's size. */
export const gather = (x: Tensor, indices: Tensor, axis: number): Tensor =>
  apply(gathering, [x, indices], { axis: axisOf('gather', x.shape, axis) });
