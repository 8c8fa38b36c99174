// Keras's layers over signals [N, steps, channels]: each is the layer over feature maps, of a map of height 1.

import * as ops from '../../../../engine/index.ts';
import type { GraphNode } from '../../../graph.ts';
import * as layers from '../../../layers.ts';
import { FormatError } from '../../errors.ts';
import { field, type Json } from '../../json.ts';
import { flag, type LayerRow, only, pair } from '../context.ts';
import { batchNormalization, channelsOf } from './normalise.ts';
import { averagePooling2d, globalPooling, maxPooling2d } from './pool.ts';
import { padding, upSampling2d } from './shape.ts';
import { conv2d, conv2dTranspose, depthwiseConv2d, separableConv2d } from './weighted.ts';

/** A setting of one axis as that of two. */
type Widen = (value: unknown) => unknown;

/** A size of windows, 1 along the new axis. */
const size: Widen = (value) => [1, ...[value].flat()];
const sizeIfAny: Widen = (value) => (value === undefined || value === null ? value : size(value));
const sizeOr2: Widen = (value) => size(value ?? 2);
/** Counts for both ends, one for both or two. */
const ends: Widen = (value = 1) => [[0, 0], Array.isArray(value) ? value : [value, value]];

/** A layer over signals by its row over maps; `toRow` says where it gives one number a channel, and no signal. */
function overLine(
  row: LayerRow,
  settings: Readonly<Record<string, Widen>>,
  toRow: (config: Json) => boolean = () => false,
): LayerRow {
  return (c) => {
    const { node, shape } = only(c);
    if (shape.length !== 3)
      throw new FormatError(
        `it takes a signal [steps, channels], but "${node}" gives [${shape.slice(1).join(', ')}]`,
      );
    const [batch, steps, channels] = shape as [number, number, number];
    const turned = layers.transpose(`${c.name}/turned`, node, [0, 2, 1]);
    const before: GraphNode[] = [
      turned,
      layers.view(`${c.name}/map`, 'reshape', turned.name, ([n, k, l]) => [n!, k!, 1, l!]),
    ];
    const wide = Object.fromEntries(
      Object.entries(settings).map(([key, widen]) => [key, widen(field(c.config, key))]),
    );
    let length = steps;
    const isCausal = field(c.config, 'padding') === 'causal';
    if (isCausal) {
      // Each step sees itself and steps before it.
      const past = (pair(wide, 'kernel_size')[1] - 1) * pair(wide, 'dilation_rate', 1)[1];
      length += past;
      const pad = (x: ops.Tensor) => ops.pad(x, [0, 0, 0, past], [0, 0, 0, 0]);
      before.push(layers.plain(`${c.name}/past`, 'pad', [`${c.name}/map`], pad, { before: past }));
    }
    const isRow = toRow(c.config);
    const made = row({
      ...c,
      name: isRow ? c.name : `${c.name}/line`,
      config: { ...c.config, ...wide, ...(isCausal && { padding: 'valid' }) },
      inputs: [{ node: before.at(-1)!.name, shape: [batch, channels, 1, length] }],
      weight(names, expected) {
        const found = c.weight(names, expected.length === 4 ? expected.slice(1) : expected);
        return found && { ...found, shape: expected };
      },
    });
    if (isRow) return [...before, ...made];
    const back = layers.view(`${c.name}/signal`, 'reshape', `${c.name}/line`, ([n, k, , l]) => [n!, k!, l!]);
    return [...before, ...made, back, layers.transpose(c.name, back.name, [0, 2, 1])];
  };
}

const WINDOW = { kernel_size: size, strides: sizeIfAny, dilation_rate: sizeIfAny } as const;
const POOL = { pool_size: sizeOr2, strides: sizeIfAny } as const;
const isRow = (config: Json) => !flag(config, 'keepdims', false);

export const conv1d = overLine(conv2d, WINDOW);
export const depthwiseConv1d = overLine(depthwiseConv2d, WINDOW);
export const separableConv1d = overLine(separableConv2d, WINDOW);
export const conv1dTranspose = overLine(conv2dTranspose, WINDOW);
export const maxPooling1d = overLine(maxPooling2d, POOL);
export const averagePooling1d = overLine(averagePooling2d, POOL);
export const globalPooling1d = (layer: Parameters<typeof globalPooling>[0]): LayerRow =>
  overLine(globalPooling(layer), {}, isRow);
export const zeroPadding1d = overLine(padding('pad', 'padding', 1), { padding: ends });
export const cropping1d = overLine(padding('crop', 'cropping', -1), { cropping: ends });
export const upSampling1d = overLine(upSampling2d, { size: sizeOr2 });

/** Batch normalisation of maps, rows and signals. */
const ofSignal = overLine(batchNormalization, { axis: () => -1 });
export const anyBatchNormalization: LayerRow = (c) => {
  if (only(c).shape.length !== 3) return batchNormalization(c);
  channelsOf(c, field(c.config, 'axis') ?? -1);
  return ofSignal(c);
};
