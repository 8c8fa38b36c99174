// How a layer's output holds a feature map: a convolutional layer's is one, perhaps with its channels last; a vision
// transformer's tokens are one when those of the patches are laid out as a grid and the class token is set aside.

import { broadcastTo, concat, narrow, reshape, type Shape, type Tensor, transpose } from '../engine/index.ts';
import type { Graph } from '../models/graph.ts';
import { featureMaps } from '../models/target-layer.ts';

/** The feature map [N, K, h, w] in a layer's output, and the output put together from one. */
export interface FeatureMapView {
  readonly toMap: (value: Tensor) => Tensor;
  readonly fromMap: (map: Tensor) => Tensor;
}

/** The output is the feature map. */
export const itself: FeatureMapView = { toMap: (value) => value, fromMap: (map) => map };

/** The output is the feature map as [N, h, w, K]. */
const channelsLast: FeatureMapView = {
  toMap: (value) => transpose(value, [0, 3, 1, 2]),
  fromMap: (map) => transpose(map, [0, 2, 3, 1]),
};

/**
 * The view of an output for an image [1, C, H, W], whose channels may come last; undefined where it is no map of several
 * pixels.
 */
export function viewOf(
  output: Tensor,
  image: readonly number[],
  isChannelsLast: boolean,
): FeatureMapView | undefined {
  const { shape } = output;
  if (shape.length === 4) {
    const [view, y] = isChannelsLast ? ([channelsLast, 1] as const) : ([itself, 2] as const);
    return shape[y]! * shape[y + 1]! > 1 ? view : undefined;
  }
  return shape.length === 3 ? tokenView(output, image) : undefined;
}

/** Extra tokens, at most this many, stand before those of the patches: class, distillation, registers. */
const MOST_EXTRA = 8;

/**
 * How `count` tokens lie on an image [1, C, H, W]: as a grid of its proportions behind as few extra tokens as will fit.
 * Undefined where no grid fits.
 */
export function tokenGrid(
  count: number,
  image: readonly number[],
): { readonly extra: number; readonly height: number; readonly width: number } | undefined {
  const ratio = image[2]! / image[3]!;
  for (let extra = 0; extra <= MOST_EXTRA && extra < count - 1; extra++) {
    const patches = count - extra;
    const height = Math.round(Math.sqrt(patches * ratio));
    const width = Math.round(patches / height);
    const fits = height * width === patches && Math.abs(height / width / ratio - 1) <= 0.01;
    if (fits) return { extra, height, width };
  }
  return undefined;
}

/**
 * The nodes that can be a target layer for an image [1, C, H, W], from the shapes of all: their outputs are feature maps
 * [1, K, h, w] or [1, h, w, K], or tokens that lie on a grid.
 */
export function targetLayers(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  image: Shape,
): ReadonlySet<string> {
  const areGrid = (shape: Shape) => shape.length === 3 && tokenGrid(shape[1]!, image) !== undefined;
  const tokens = graph.nodes.map(({ name }) => name).filter((name) => areGrid(shapes.get(name)!));
  const found = new Set([...featureMaps(graph, shapes), ...featureMaps(graph, shapes, '1,2'), ...tokens]);
  return new Set(graph.nodes.map(({ name }) => name).filter((name) => found.has(name)));
}

/** Tokens [1, T, D] as their grid. The extra tokens keep their values when the map changes. */
function tokenView(tokens: Tensor, image: readonly number[]): FeatureMapView | undefined {
  const [, count, depth] = tokens.shape as [number, number, number];
  const grid = tokenGrid(count, image);
  if (grid === undefined) return undefined;
  const { extra, height, width } = grid;
  const patches = height * width;
  return {
    toMap(value) {
      const behind = narrow(value, 1, extra, patches);
      return reshape(transpose(behind, [0, 2, 1]), [value.shape[0]!, depth, height, width]);
    },
    fromMap(map) {
      const batch = map.shape[0]!;
      const behind = transpose(reshape(map, [batch, depth, patches]), [0, 2, 1]);
      if (extra === 0) return behind;
      return concat([broadcastTo(narrow(tokens, 1, 0, extra), [batch, extra, depth]), behind], 1);
    },
  };
}
