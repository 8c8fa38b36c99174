// ONNX's operators that move elements, and those that make them: shapes, constants, ranges.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import * as host from '../constant.ts';
import { constant, ints } from '../constant.ts';
import { FormatError } from '../errors.ts';
import { axisOf } from '../kit.ts';
import {
  type Builder,
  batchAxisOf,
  type Call,
  type Computed,
  choose,
  isConstant,
  listOf,
  type Value,
} from './call.ts';
import { identity } from './elementwise.ts';

type Shape = readonly number[];

/** An axis of a shape, and how much of it stands before the batch in memory. */
interface BatchPlace {
  readonly axis: number;
  readonly before: number;
}

/**
 * Where the batch of x's elements lies in a shape that the file gives them; axis -1 if nowhere. A batch larger than 1
 * is known by its size, alone or as a factor. A file made for one picture does not show it; but a view leaves elements
 * in their places, so it must lie behind as many of them as before.
 */
function placeOfBatch(call: Call, x: Computed, wanted: Shape): BatchPlace {
  const from = batchAxisOf(x);
  if (from < 0) return { axis: -1, before: 1 };
  if (call.batch > 1) {
    const exact = wanted.indexOf(call.batch);
    const axis = exact >= 0 ? exact : wanted.findIndex((n) => n > 0 && n % call.batch === 0);
    return { axis, before: 1 };
  }
  const outer = ops.sizeOf(x.shape.slice(0, from)) * x.before;
  const axis = wanted.findIndex((_, i) => ops.sizeOf(wanted.slice(0, i)) === outer);
  if (axis < 0) {
    throw new FormatError(
      `[${x.shape.join(', ')}] as [${wanted.join(', ')}] loses track of the batch; export the network with a batch ` +
        `that may vary (a dynamic first axis)`,
    );
  }
  // A batch that is no axis of its own belongs to the axis before it where the one behind it stays as it was or holds
  // all the features (rows of a matrix), else to the one behind it (heads).
  const featuresStay = x.shape[from + 1] === wanted[axis] || axis === wanted.length - 1;
  const joinsLeft = axis > 0 && wanted[axis] !== 1 && featuresStay;
  return joinsLeft
    ? { axis: axis - 1, before: outer / ops.sizeOf(wanted.slice(0, axis - 1)) }
    : { axis, before: 1 };
}

/** A size that holds the batch of x, for the batch that x's elements have now. */
function scaled(n: number, x: Computed, now: Shape): number {
  const axis = batchAxisOf(x);
  return axis < 0 ? n : (n * now[axis]!) / x.shape[axis]!;
}

/** A view whose shape is a function of the input's. */
function view(call: Call, x: Value, shape: (from: Shape) => Shape, kind: string, before?: number): Value {
  const [from, to] = [x.shape, resolve(shape(x.shape), ops.sizeOf(x.shape))];
  // Rows of whatever follows the batch are Flatten: channels keep their places in it.
  const flattens = to.length === 2 && from.length > 2 && from[0] === to[0];
  return call.apply({
    kind: flattens ? 'flatten' : kind,
    operands: { x },
    device: (t) => ops.reshape(t!, shape(t!.shape)),
    fold: (v) => host.reshape(v!, resolve(shape(v!.shape), v!.data.length)),
    traits: { view: true, ...(flattens && { channelwise: true }) },
    ...(before !== undefined && { before }),
  });
}

/** With the one size that is -1 filled in. */
function resolve(shape: Shape, count: number): Shape {
  const others = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
  return shape.map((n) => (n === -1 ? count / others : n));
}

const reshape: Builder = (call) => {
  const x = call.input(0);
  const wanted = listOf(call, 1, 'shape');
  if (wanted === undefined) throw new FormatError('it has no shape');
  const keepsZero = call.int('allowzero', 0) !== 0;
  if (wanted.filter((n) => n === -1).length > 1 || wanted.some((n) => n < -1 || !Number.isInteger(n))) {
    throw new FormatError(`[${wanted.join(', ')}] is no shape`);
  }
  const copied = (i: number) => wanted[i] === 0 && !keepsZero;
  const filled = (from: Shape): Shape =>
    wanted.map((n, i) => {
      if (!copied(i)) return n;
      if (from[i] === undefined)
        throw new FormatError(
          `its shape [${wanted.join(', ')}] has a 0, which copies an axis of the input, where the input has none`,
        );
      return from[i];
    });
  if (isConstant(x)) return view(call, x, filled, 'reshape');
  const { axis, before } = placeOfBatch(call, x, resolve(filled(x.shape), ops.sizeOf(x.shape)));
  const shape = (from: Shape): Shape =>
    filled(from).map((n, i) => (i === axis && n !== -1 && !copied(i) ? scaled(n, x, from) : n));
  return view(call, x, shape, 'reshape', before);
};

const flatten: Builder = (call) => {
  const axis = call.int('axis', 1);
  const shape = (from: Shape): Shape => {
    const at = axis < 0 ? axis + from.length : axis;
    if (at < 0 || at > from.length)
      throw new FormatError(`its axis ${axis} is none of an input of ${from.length} axes`);
    return [ops.sizeOf(from.slice(0, at)), ops.sizeOf(from.slice(at))];
  };
  const x = call.input(0);
  return view(call, x, shape, axis === 1 ? 'flatten' : 'reshape');
};

const squeeze: Builder = (call) => {
  const x = call.input(0);
  const given = listOf(call, 1, 'axes')?.map((axis) => axisOf(axis, x.shape.length));
  // A batch of 1 is no axis to lose.
  const batch = isConstant(x) ? -1 : batchAxisOf(x);
  const gone = given ?? x.shape.flatMap((n, axis) => (n === 1 && axis !== batch ? [axis] : []));
  const wrong = gone.find((axis) => x.shape[axis] !== 1);
  if (wrong !== undefined)
    throw new FormatError(`it removes axis ${wrong} of [${x.shape.join(', ')}], which is not of size 1`);
  return view(call, x, (from) => from.filter((_, axis) => !gone.includes(axis)), 'squeeze');
};

const unsqueeze: Builder = (call) => {
  const x = call.input(0);
  const given = listOf(call, 1, 'axes') ?? [];
  const rank = x.shape.length + given.length;
  const added = given.map((axis) => axisOf(axis, rank));
  if (new Set(added).size < added.length) throw new FormatError(`axes ${given.join(', ')} repeat`);
  const shape = (from: Shape): Shape => {
    const left = [...from];
    return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : left.shift()!));
  };
  return view(call, x, shape, 'unsqueeze');
};

const transpose: Builder = (call) => {
  const x = call.input(0);
  const order = call.ints('perm') ?? x.shape.map((_, axis) => x.shape.length - 1 - axis);
  if (order.length !== x.shape.length || x.shape.some((_, axis) => !order.includes(axis))) {
    throw new FormatError(
      `its perm [${order.join(', ')}] is no order of ${x.shape.length} axes; expected each of them once`,
    );
  }
  return call.apply({
    kind: 'transpose',
    operands: { x },
    device: (t) => ops.transpose(t!, order),
    fold: (v) => host.transpose(v!, order),
    attributes: { order },
    traits: { order },
  });
};

const expand: Builder = (call) => {
  const x = call.input(0);
  const wanted = listOf(call, 1, 'shape');
  if (wanted === undefined) throw new FormatError('it has no shape');
  const place = isConstant(x) || call.batch === 1 ? -1 : placeOfBatch(call, x, wanted).axis;
  return call.apply({
    kind: 'expand',
    operands: { x },
    device: (t) => {
      // A 1 needs no scaling: it is broadcast.
      const shape = wanted.map((n, i) =>
        i === place && n !== 1 && !isConstant(x) ? scaled(n, x, t!.shape) : n,
      );
      return ops.broadcastTo(t!, host.broadcastShapes(t!.shape, shape));
    },
    fold: (v) => host.broadcastTo(v!, host.broadcastShapes(v!.shape, wanted)),
  });
};

/** x repeated along each axis: an axis of n becomes [repeats, n], which is then one axis again. */
const tiled = <T extends { readonly shape: Shape }>(
  x: T,
  repeats: Shape,
  { reshape, broadcastTo }: Readonly<Record<'reshape' | 'broadcastTo', (x: T, shape: Shape) => T>>,
): T =>
  repeats.reduce(
    (y, count, axis) => {
      if (count === 1) return y;
      const [before, after] = [y.shape.slice(0, axis), y.shape.slice(axis)];
      const wide = broadcastTo(reshape(y, [...before, 1, ...after]), [...before, count, ...after]);
      return reshape(wide, [...before, count * after[0]!, ...after.slice(1)]);
    },
    reshape(x, x.shape),
  );

const tile: Builder = (call) => {
  const x = call.input(0);
  const repeats = Array.from(call.constant(1)?.data ?? []);
  if (repeats.length !== x.shape.length || repeats.some((n) => !(Number.isInteger(n) && n >= 0))) {
    throw new FormatError(
      `its repeats [${repeats.join(', ')}] are not a whole number for each of ${x.shape.length} axes`,
    );
  }
  return call.apply({
    kind: 'tile',
    operands: { x },
    device: (t) => tiled(t!, repeats, ops),
    fold: (v) => tiled(v!, repeats, host),
    attributes: { repeats },
  });
};

const concat: Builder = (call) => {
  const parts = call.inputs.map((_, i) => call.input(i));
  const axis = axisOf(call.int('axis', 1), call.input(0).shape.length);
  return call.apply({
    kind: 'concat',
    operands: Object.fromEntries(parts.map((part, i) => [String(i), part])),
    device: (...tensors) => ops.concat(alike(tensors, axis), axis),
    fold: (...values) => host.concat(values, axis),
    attributes: { axis },
    ...(axis === 1 && { traits: { joinsChannels: true } }),
  });
};

/** Tensors to be joined, one without the batch (a constant, such as a class token) repeated over it. */
function alike(tensors: readonly Tensor[], axis: number): readonly Tensor[] {
  if (axis === 0) return tensors;
  const batch = Math.max(...tensors.map((t) => t.shape[0]!));
  return tensors.map((t) =>
    t.shape[0] === 1 && batch > 1 ? ops.broadcastTo(t, [batch, ...t.shape.slice(1)]) : t,
  );
}

/** Starts, ends, axes and steps are inputs, or attributes before opset 10. */
const slice: Builder = (call) => {
  const x = call.input(0);
  const rank = x.shape.length;
  const starts = listOf(call, 1, 'starts') ?? [];
  const ends = listOf(call, 2, 'ends') ?? [];
  const axes = (listOf(call, 3, 'axes') ?? starts.map((_, i) => i)).map((axis) => axisOf(axis, rank));
  const steps = listOf(call, 4, 'steps') ?? starts.map(() => 1);
  if ([ends, axes, steps].some((one) => one.length !== starts.length) || steps.includes(0)) {
    throw new FormatError('starts, ends, axes and steps do not fit together');
  }
  const whole = { start: 0, end: Number.POSITIVE_INFINITY, step: 1 };
  const windows = x.shape.map((size, axis) => {
    const i = axes.indexOf(axis);
    if (i < 0) return whole;
    const window = { start: starts[i]!, end: ends[i]!, step: steps[i]! };
    // All of an axis stays all of it: the batch may be another one later.
    return window.start === 0 && window.end >= size && window.step === 1 ? whole : window;
  });
  const [from, to, by] = [windows.map((w) => w.start), windows.map((w) => w.end), windows.map((w) => w.step)];
  return call.apply({
    kind: 'slice',
    operands: { x },
    device: (t) => ops.slice(t!, from, to, by),
    fold: (v) => {
      const place = (at: number, n: number, low: number, high: number) =>
        Math.min(Math.max(at < 0 ? at + n : at, low), high);
      const limits = (n: number, step: number): [number, number] => (step > 0 ? [0, n] : [-1, n - 1]);
      const first = v!.shape.map((n, i) => place(from[i]!, n, ...limits(n, by[i]!)));
      const counts = v!.shape.map((n, i) =>
        Math.max(0, Math.ceil((place(to[i]!, n, ...limits(n, by[i]!)) - first[i]!) / by[i]!)),
      );
      return host.slice(v!, first, by, counts);
    },
    attributes: { starts: from, ends: to, steps: by },
  });
};

const split: Builder = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.int('axis', 0), x.shape.length);
  const size = x.shape[axis]!;
  const given = listOf(call, 1, 'split');
  const count = call.int('num_outputs', call.outputs);
  const equal = Math.ceil(size / count);
  const sizes =
    given ?? Array.from({ length: count }, (_, i) => Math.max(0, Math.min(equal, size - i * equal)));
  const total = sizes.reduce((sum, n) => sum + n, 0);
  if (total !== size || sizes.some((n) => !Number.isInteger(n) || n < 0) || sizes.length < call.outputs) {
    throw new FormatError(`axis ${axis} of ${size} cannot be split into ${sizes.join(', ')}`);
  }
  let offset = 0;
  return sizes.slice(0, call.outputs).map((length, part) => {
    const start = offset;
    offset += length;
    return call.apply({
      kind: 'split',
      operands: { x },
      device: (t) => ops.narrow(t!, axis, start, length),
      fold: (v) => host.narrow(v!, axis, start, length),
      attributes: { axis, start, length },
      part,
    });
  });
};

const gather: Builder = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.int('axis', 0), x.shape.length);
  const indices = call.constant(1);
  if (indices === undefined) throw new FormatError('it has no indices');
  call.charge(indices.data.length);
  const chosen = host.checkedIndices(indices, x.shape[axis]!);
  return call.apply({
    kind: 'gather',
    operands: { x },
    device: (t) => {
      const rows =
        chosen.length === 1
          ? ops.narrow(t!, axis, chosen[0]!, 1)
          : ops.gather(t!, ops.indexTensor(t!.device, chosen, [chosen.length]), axis);
      return ops.reshape(rows, [...t!.shape.slice(0, axis), ...indices.shape, ...t!.shape.slice(axis + 1)]);
    },
    fold: (v) => host.gather(v!, indices, axis),
    attributes: { axis, indices: chosen.length <= 8 ? chosen : `${chosen.length} of them` },
  });
};

/** Blocks of channels become blocks of pixels, or the other way round; channels count blocks first (DCR) or last. */
function blocks(toSpace: boolean): Builder {
  return (call) => {
    const x = call.input(0);
    const size = call.int('blocksize', 0);
    const columnRowDepth = toSpace && call.text('mode', 'DCR') === 'CRD';
    const [, channels = 0, ...plane] = x.shape;
    const fits = toSpace ? channels % size ** 2 === 0 : plane.every((n) => n % size === 0);
    if (x.shape.length !== 4 || size < 1 || !fits) {
      throw new FormatError(`blocks of ${size} do not fit [${x.shape.join(', ')}]`);
    }
    return call.apply({
      kind: toSpace ? 'depthToSpace' : 'spaceToDepth',
      operands: { x },
      device: (t) => {
        const [n, c, h, w] = t!.shape as [number, number, number, number];
        const depth = c / size ** 2;
        const [split, order, shape] = !toSpace
          ? [
              [n, c, h / size, size, w / size, size],
              [0, 3, 5, 1, 2, 4],
              [n, c * size ** 2, h / size, w / size],
            ]
          : columnRowDepth
            ? [
                [n, depth, size, size, h, w],
                [0, 1, 4, 2, 5, 3],
                [n, depth, h * size, w * size],
              ]
            : [
                [n, size, size, depth, h, w],
                [0, 3, 4, 1, 5, 2],
                [n, depth, h * size, w * size],
              ];
        return ops.reshape(ops.transpose(ops.reshape(t!, split), order), shape);
      },
      attributes: { size, ...(columnRowDepth && { mode: 'CRD' }) },
    });
  };
}

/** Input coordinate of each output coordinate -before … n + after - 1, by padding mode. */
const PADDING: Readonly<Record<string, (at: number, n: number) => number>> = {
  edge: (at, n) => Math.min(Math.max(at, 0), n - 1),
  reflect: (at, n) => {
    const period = Math.max(1, 2 * (n - 1));
    const wrapped = ((at % period) + period) % period;
    return wrapped < n ? wrapped : period - wrapped;
  },
  wrap: (at, n) => ((at % n) + n) % n,
};

/** Pads and value are inputs, or attributes before opset 11. */
const pad: Builder = (call) => {
  const x = call.input(0);
  const rank = x.shape.length;
  const pads = listOf(call, 1, 'pads') ?? call.ints('paddings') ?? [];
  const value = call.constant(2)?.data[0] ?? call.float('value', 0);
  const over = listOf(call, 3, 'axes')?.map((axis) => axisOf(axis, rank)) ?? x.shape.map((_, axis) => axis);
  const mode = call.text('mode', 'constant');
  if (pads.length !== 2 * over.length || !pads.every(Number.isInteger)) {
    throw new FormatError(
      `its pads [${pads.join(', ')}] are not two whole numbers for each of ${over.length} axes`,
    );
  }
  const side = (offset: number) =>
    x.shape.map((_, axis) => (over.includes(axis) ? pads[over.indexOf(axis) + offset]! : 0));
  const [before, after] = [side(0), side(over.length)];
  const attributes = { mode, before, after };
  // Nothing is padded where the size needs none, as exporters write it for the sake of others.
  if ([...before, ...after].every((n) => n === 0)) return identity('pad')(call);
  if (mode === 'constant') {
    return call.apply({
      kind: 'pad',
      operands: { x },
      device: (t) => ops.pad(t!, before, after, value),
      attributes,
    });
  }
  const coordinate = choose(PADDING, 'mode', mode);
  const device = (t: Tensor) =>
    before.reduce(
      (y, first, axis) => {
        const n = y.shape[axis]!;
        const count = n + first + after[axis]!;
        if (first === 0 && after[axis] === 0) return y;
        if (n === 0 || count < 0)
          throw new FormatError(`axis ${axis} of ${n} elements cannot become one of ${count}`);
        host.checkedCount([count]);
        const indices = Array.from({ length: count }, (_, o) => coordinate(o - first, n));
        return ops.gather(y, ops.indexTensor(y.device, indices, [count]), axis);
      },
      ops.reshape(t, t.shape),
    );
  return call.apply({ kind: 'pad', operands: { x }, device: (t) => device(t!), attributes });
};

const constantNode: Builder = (call) => {
  const tensor = call.tensor('value');
  if (tensor) return tensor;
  if (call.attribute('value_float')) return constant('float', [], [call.float('value_float', 0)]);
  if (call.attribute('value_int')) return constant('int', [], [call.int('value_int', 0)]);
  const floats = call.floats('value_floats');
  if (call.attribute('value_floats') && floats) return constant('float', [floats.length], floats);
  const whole = call.ints('value_ints');
  if (call.attribute('value_ints') && whole) return ints(whole);
  throw new FormatError('its value is neither a tensor nor numbers');
};

const constantOfShape: Builder = (call) => {
  const shape = Array.from(call.constant(0)?.data ?? []);
  const value = call.tensor('value') ?? constant('float', [1], [0]);
  return constant(value.type, shape, () => value.data[0] ?? 0);
};

const range: Builder = (call) => {
  const [start, limit, delta] = [0, 1, 2].map((i) => call.constant(i)?.data[0] ?? Number.NaN);
  const count = Math.max(0, Math.ceil((limit! - start!) / delta!));
  if (!Number.isFinite(count))
    throw new FormatError(`its numbers from ${start} to ${limit} in steps of ${delta} have no end`);
  return constant(call.input(0).type, [count], (i) => start! + i * delta!);
};

const shape: Builder = (call) => {
  const whole = call.input(0).shape;
  return ints(whole.slice(call.int('start', 0), call.attribute('end') ? call.int('end', 0) : undefined));
};

export const layout: Readonly<Record<string, Builder>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Slice: slice,
  Split: split,
  Gather: gather,
  Pad: pad,
  DepthToSpace: blocks(true),
  SpaceToDepth: blocks(false),
  Constant: constantNode,
  ConstantOfShape: constantOfShape,
  Range: range,
  Shape: shape,
};
