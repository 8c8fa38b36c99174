// Keras's layers that move elements.

import * as ops from '../../../../engine/index.ts';
import { type Shape, sizeOf, type Tensor } from '../../../../engine/index.ts';
import type { Pair } from '../../../layers.ts';
import * as layers from '../../../layers.ts';
import { FormatError } from '../../errors.ts';
import { field, quote } from '../../json.ts';
import {
  choice,
  count,
  expectOnly,
  imageShape,
  kerasShape,
  type LayerRow,
  numbers,
  only,
  pair,
  sides,
} from '../context.ts';

/** Whether a value's elements come in the same order in both layouts. */
const sameOrder = (shape: Shape) => shape.length !== 4 || shape[2]! * shape[3]! === 1 || shape[1] === 1;
/** A value in Keras's layout, for layers that count in it; and back. */
const toKeras = (x: Tensor): Tensor => {
  if (x.shape.length !== 4) return x;
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  return sameOrder(x.shape)
    ? ops.reshape(x, [batch, height, width, channels])
    : ops.transpose(x, [0, 2, 3, 1]);
};
const fromKeras = (x: Tensor): Tensor => {
  if (x.shape.length !== 4) return x;
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const shape = [batch, channels, height, width];
  return sameOrder(shape) ? ops.reshape(x, shape) : ops.transpose(x, [0, 3, 1, 2]);
};
/** In Keras's order; a dense layer behind it has its weights put in the order of [C, H, W] (canonical.ts). */
export const flatten: LayerRow = (c) => {
  const { node, shape } = only(c);
  if (shape.length !== 4 || sameOrder(shape)) return [layers.flatten(c.name, node)];
  const turned = layers.transpose(`${c.name}/last`, node, [0, 2, 3, 1]);
  return [turned, layers.flatten(c.name, turned.name)];
};

export const reshape: LayerRow = (c) => {
  const input = only(c);
  const wanted = field(c.config, 'target_shape');
  const from = kerasShape(input.shape).slice(1);
  const sizes = Array.isArray(wanted) ? wanted : [];
  const given = sizes.filter((n) => n !== -1 && n !== null);
  const rest = sizeOf(from) / sizeOf(given);
  const fits = given.every((n) => Number.isSafeInteger(n) && n > 0) && given.length >= sizes.length - 1;
  if (
    !Array.isArray(wanted) ||
    !fits ||
    !Number.isSafeInteger(rest) ||
    (given.length === sizes.length && rest !== 1)
  ) {
    throw new FormatError(
      `target_shape is ${quote(wanted)}; expected a shape of the ${sizeOf(from)} elements of [${from.join(', ')}]`,
    );
  }
  const target = sizes.map((n) => (n === -1 || n === null ? rest : n)) as number[];
  // A row of numbers is the same as a map of one pixel: their elements come in one order, channels first or last.
  const isRow = [from, target].every((shape) => shape.at(-1) === sizeOf(shape));
  const run = (x: Tensor) => fromKeras(ops.reshape(toKeras(x), [x.shape[0]!, ...target]));
  const traits = isRow ? ({ view: true, channelwise: true } as const) : {};
  return [layers.plain(c.name, isRow ? 'flatten' : 'reshape', [input.node], run, {}, traits)];
};

export const permute: LayerRow = (c) => {
  const input = only(c);
  const dims = numbers(c.config, 'dims') ?? [];
  const rank = input.shape.length;
  if ([...dims].sort().join() !== Array.from({ length: rank - 1 }, (_, i) => i + 1).join()) {
    throw new FormatError(`dims is ${quote(dims)}; expected an order of the axes from 1 to ${rank - 1}`);
  }
  return [
    layers.plain(c.name, 'transpose', [input.node], (x) =>
      fromKeras(ops.transpose(toKeras(x), [0, ...dims])),
    ),
  ];
};

/** Keras's [[top, bottom], [left, right]]; negative counts crop. */
export const padding =
  (kind: string, key: string, sign: 1 | -1): LayerRow =>
  (c) => {
    const input = only(c);
    imageShape(input);
    const [top, left, bottom, right] = sides(c.config, key).map((n) => sign * n) as [
      number,
      number,
      number,
      number,
    ];
    const run = (x: Tensor) => ops.pad(x, [0, 0, top, left], [0, 0, bottom, right]);
    return [layers.plain(c.name, kind, [input.node], run, { padding: [top, left, bottom, right] })];
  };

export const upSampling2d: LayerRow = (c) => {
  const input = only(c);
  imageShape(input);
  const [fy, fx] = pair(c.config, 'size', 2);
  const mode = choice(c.config, 'interpolation', ['nearest', 'bilinear'], 'nearest');
  const run = (x: Tensor) => {
    const [batch, channels, height, width] = x.shape as [number, number, number, number];
    if (mode === 'bilinear') return ops.upsample(x, [height * fy, width * fx]);
    const split = ops.reshape(x, [batch, channels, height, 1, width, 1]);
    const repeated = ops.broadcastTo(split, [batch, channels, height, fy, width, fx]);
    return ops.reshape(repeated, [batch, channels, height * fy, width * fx]);
  };
  return [layers.plain(c.name, 'upsample', [input.node], run, { size: [fy, fx], mode })];
};

export const resizing: LayerRow = (c) => {
  expectOnly(c.config, {
    interpolation: [null, 'bilinear'],
    crop_to_aspect_ratio: [null, false],
    pad_to_aspect_ratio: [null, false],
    antialias: [null, false],
  });
  const input = only(c);
  imageShape(input);
  const size: Pair = [count(c.config, 'height'), count(c.config, 'width')];
  return [
    layers.plain(
      c.name,
      'upsample',
      [input.node],
      (x) => ops.upsample(x, size),
      { size, mode: 'bilinear' },
      { channelwise: true },
    ),
  ];
};
