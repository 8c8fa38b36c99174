// ONNX's Resize and Upsample. Interpolation is linear in the picture and separate in its axes: along each one, an element is
// a choice of the elements, or a sum of a few that are chosen, each times a weight.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import { checkedCount } from '../constant.ts';
import { FormatError } from '../errors.ts';
import { axisOf } from '../kit.ts';
import { type Builder, type Call, choose } from './call.ts';

/** One axis to be resized: sizes, the scale as the file has it, and the region of interest. */
interface Axis {
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  readonly roi: readonly [start: number, end: number];
}

/** Where an output coordinate lies in the input, by coordinate_transformation_mode. */
const COORDINATES: Readonly<Record<string, (o: number, axis: Axis) => number>> = {
  half_pixel: (o, { scale }) => (o + 0.5) / scale - 0.5,
  half_pixel_symmetric: (o, { scale, from, to }) =>
    (from / 2) * (1 - to / (scale * from)) + (o + 0.5) / scale - 0.5,
  pytorch_half_pixel: (o, { scale, to }) => (to > 1 ? (o + 0.5) / scale - 0.5 : 0),
  align_corners: (o, { from, to }) => (to > 1 ? (o * (from - 1)) / (to - 1) : 0),
  asymmetric: (o, { scale }) => o / scale,
  tf_half_pixel_for_nn: (o, { scale }) => (o + 0.5) / scale,
  tf_crop_and_resize: (o, { from, to, roi: [start, end] }) =>
    to > 1
      ? start * (from - 1) + (o * (end - start) * (from - 1)) / (to - 1)
      : 0.5 * (start + end) * (from - 1),
};

/** Which neighbour is the nearest, by nearest_mode. */
const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Weights of the neighbours floor(x) + first, + 1, ... of a coordinate whose fraction is t. */
interface Filter {
  readonly first: number;
  readonly weights: (t: number) => readonly number[];
}

const linearFilter: Filter = { first: 0, weights: (t) => [1 - t, t] };

/** Keys 1981, with its parameter a. */
const cubicFilter = (a: number): Filter => {
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return { first: -1, weights: (t) => [far(1 + t), near(t), near(1 - t), far(2 - t)] };
};

const clampTo = (x: number, n: number) => Math.min(Math.max(x, 0), n - 1);

/** The elements of an axis through a filter, each a sum of as many as the filter has weights. */
function filtered(
  x: Tensor,
  at: number,
  { from, to }: Axis,
  coordinate: (o: number) => number,
  filter: Filter,
  exclude: boolean,
): Tensor {
  const outputs = Array.from({ length: to }, (_, o) => {
    const place = coordinate(o);
    const floor = Math.floor(place);
    const taps = filter.weights(place - floor).map((weight, i) => {
      const index = floor + filter.first + i;
      const isOutside = index < 0 || index >= from;
      return { index: clampTo(index, from), weight: exclude && isOutside ? 0 : weight };
    });
    const whole = exclude ? taps.reduce((sum, { weight }) => sum + weight, 0) : 1;
    return taps.map(({ index, weight }) => ({ index, weight: weight / whole }));
  });
  const line = x.shape.map((_, axis) => (axis === at ? to : 1));
  const terms = outputs[0]!.map((_, tap) => {
    const indices = outputs.map((taps) => taps[tap]!.index);
    const weights = Float32Array.from(outputs, (taps) => taps[tap]!.weight);
    const chosen = ops.gather(x, ops.indexTensor(x.device, indices, [to]), at);
    return ops.mul(chosen, ops.tensor(x.device, weights, line));
  });
  return terms.reduce(ops.add);
}

/** What the file says about sizes: for each axis the output size for an input size. */
function targets(call: Call): { scales?: readonly number[]; sizes?: readonly number[] } {
  const list = (index: number) => {
    const given = call.constant(index);
    return given && given.data.length > 0 ? Array.from(given.data) : undefined;
  };
  // Upsample and Resize of opset 10 take (x, scales), later ones (x, roi, scales, sizes).
  const old = call.operator === 'Upsample' || call.opset < 11;
  const scales = old ? (list(1) ?? call.floats('scales')) : list(2);
  const sizes = old ? undefined : list(3);
  if ((scales === undefined) === (sizes === undefined)) {
    throw new FormatError('it needs either scales or sizes');
  }
  return { ...(scales && { scales }), ...(sizes && { sizes }) };
}

const resize: Builder = (call) => {
  const x = call.input(0);
  const rank = x.shape.length;
  const old = call.operator === 'Upsample' || call.opset < 11;
  const { scales, sizes } = targets(call);
  const axes = call.ints('axes')?.map((axis) => axisOf(axis, rank)) ?? x.shape.map((_, axis) => axis);
  const mode = call.text('mode', 'nearest');
  const transformation = call.text('coordinate_transformation_mode', old ? 'asymmetric' : 'half_pixel');
  const nearestMode = call.text('nearest_mode', old ? 'floor' : 'round_prefer_floor');
  const coordinate = choose(COORDINATES, 'coordinate_transformation_mode', transformation);
  const nearest = choose(NEAREST, 'nearest_mode', nearestMode);
  const filters: Readonly<Record<string, Filter | undefined>> = {
    nearest: undefined,
    linear: linearFilter,
    bilinear: linearFilter,
    cubic: cubicFilter(call.float('cubic_coeff_a', -0.75)),
  };
  const filter = choose(filters, 'mode', mode);
  if (call.int('antialias', 0) !== 0) throw new FormatError('antialias is not supported');
  if (call.text('keep_aspect_ratio_policy', 'stretch') !== 'stretch') {
    throw new FormatError('keep_aspect_ratio_policy is not supported');
  }
  const given = scales ?? sizes!;
  if (given.length !== axes.length || given.some((n) => !(n > 0 && Number.isFinite(n)))) {
    throw new FormatError(
      `its scales or sizes [${given.join(', ')}] are not one for each of ${axes.length} axes`,
    );
  }
  const exclude = call.int('exclude_outside', 0) !== 0;
  const crops = transformation === 'tf_crop_and_resize';
  const roi = Array.from(crops ? (call.constant(1)?.data ?? []) : []);
  if (crops && roi.length !== 2 * axes.length) throw new FormatError('its region of interest is missing');
  const outside = call.float('extrapolation_value', 0);

  /** How an axis of a size is resized; undefined where it stays as it is. */
  const axisFor = (from: number, axis: number): Axis | undefined => {
    const i = axes.indexOf(axis);
    // An axis that keeps its size in the file is left alone: it may be the batch.
    const keeps = i < 0 || (scales ? scales[i] === 1 : sizes![i] === x.shape[axis]);
    if (keeps && !crops) return undefined;
    if (keeps && (roi[i] ?? 0) === 0 && (roi[i + axes.length] ?? 1) === 1) return undefined;
    const to = scales ? Math.floor(from * scales[i]!) : sizes![i]!;
    const range = [roi[i] ?? 0, roi[i + axes.length] ?? 1] as const;
    return { from, to, scale: scales ? scales[i]! : to / from, roi: range };
  };

  for (const [i, n] of x.shape.entries()) {
    const axis = axisFor(n, i);
    if (axis) call.charge(axis.to * (filter?.weights(0).length ?? 1));
  }

  const along = (t: Tensor, at: number): Tensor => {
    const axis = axisFor(t.shape[at]!, at);
    if (axis === undefined) return t;
    if (axis.to < 1 || axis.from < 1)
      throw new FormatError(
        `axis ${at} would go from ${axis.from} to ${axis.to} elements; both must be at least 1`,
      );
    const place = (o: number) => coordinate(o, axis);
    checkedCount([axis.to]);
    if (filter === undefined) {
      const chosen = Array.from({ length: axis.to }, (_, o) => clampTo(nearest(place(o)), axis.from));
      return ops.gather(t, ops.indexTensor(t.device, chosen, [axis.to]), at);
    }
    const y = filtered(t, at, axis, place, filter, exclude);
    if (!crops) return y;
    const inside = Float32Array.from({ length: axis.to }, (_, o) =>
      Number(place(o) >= 0 && place(o) <= axis.from - 1),
    );
    const mask = ops.tensor(
      t.device,
      inside,
      t.shape.map((_, i) => (i === at ? axis.to : 1)),
    );
    return ops.add(ops.mul(y, mask), ops.affine(mask, -outside, outside));
  };

  /** By one operation, where it is the engine's own: bilinear over planes whose sizes are in the ratio of the scales. */
  const overPlanes = (t: Tensor): Tensor | undefined => {
    const [images, channels, ...plane] = t.shape.map((n, axis) => axisFor(n, axis));
    const alignCorners = transformation === 'align_corners';
    const isUsual = alignCorners || ['half_pixel', 'pytorch_half_pixel'].includes(transformation);
    if (filter !== linearFilter || !isUsual || rank !== 4 || images || channels) return undefined;
    if (plane.some((axis) => axis && (axis.to < 2 || axis.to !== axis.scale * axis.from))) return undefined;
    const [height, width] = plane.map((axis, i) => axis?.to ?? t.shape[2 + i]!) as [number, number];
    return ops.upsample(t, [height, width], { alignCorners });
  };

  return call.apply({
    kind: 'resize',
    operands: { x },
    device: (t) =>
      overPlanes(t!) ?? t!.shape.reduce((y, _, axis) => along(y, axis), ops.reshape(t!, t!.shape)),
    attributes: { mode, coordinates: transformation, ...(scales ? { scales } : { sizes }) },
  });
};

export const resizing: Readonly<Record<string, Builder>> = { Resize: resize, Upsample: resize };
