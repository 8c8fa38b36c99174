// Keras's pooling.

import type { GraphNode } from '../../../graph.ts';
import * as layers from '../../../layers.ts';
import { field, type Json } from '../../json.ts';
import type { Window } from '../../kit.ts';
import { flag, imageShape, type LayerRow, only, pair } from '../context.ts';
import { paddingOf } from './weighted.ts';

const windowOf = (config: Json): Window => {
  const kernel = pair(config, 'pool_size', 2);
  const stride = (field(config, 'strides') ?? null) === null ? kernel : pair(config, 'strides');
  return { kernel, stride, dilation: [1, 1] };
};

/** TensorFlow's averages leave padding out of their divisors. */
const pooling =
  (
    layer: (name: string, input: string, spec: layers.PoolSpec & { countIncludePad: false }) => GraphNode,
  ): LayerRow =>
  (c) => {
    imageShape(only(c));
    const window = windowOf(c.config);
    const padding = paddingOf(c.config, window);
    return [layer(c.name, only(c).node, { ...window, padding, countIncludePad: false })];
  };

export const maxPooling2d = pooling(layers.maxPool);
export const averagePooling2d = pooling(layers.avgPool);

export const globalPooling =
  (layer: typeof layers.globalAvgPool): LayerRow =>
  (c) => {
    imageShape(only(c));
    return [layer(c.name, only(c).node, flag(c.config, 'keepdims', false))];
  };
