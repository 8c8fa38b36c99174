// How a layer's output holds a feature map: where its elements lie in the picture says it. A convolutional layer's output
// is one as it is; others have their channels last, or are tokens, in whatever order and beside whatever other tokens.

import { least } from '../engine/extremes.ts';
import {
  broadcastTo,
  concat,
  gather,
  indexTensor,
  narrow,
  reshape,
  type Shape,
  type Tensor,
  transpose,
} from '../engine/index.ts';
import { coverage, isNowhere, isSame, type MaybePlaces, type Part } from '../engine/places.ts';

/** A feature map in a layer's output. */
export interface FeatureMapView {
  readonly channels: number;
  readonly grid: readonly [height: number, width: number];
  /** A layer's output, for any batch, as a feature map [N, K, h, w]. */
  readonly toMap: (output: Tensor) => Tensor;
  /** An output for each of N feature maps; what is not on the grid is taken from `like`, an output of batch 1. */
  readonly fromMap: (map: Tensor, like: Tensor) => Tensor;
}

const WHOLE: Part = [0, 0, 1, 1];

/** The output is the feature map. */
const itself = (channels: number, grid: FeatureMapView['grid']): FeatureMapView => ({
  channels,
  grid,
  toMap: (output) => output,
  fromMap: (map) => map,
});

/** Which element lies where: positions of the cells of a grid, row by row, and of what is on no grid. */
interface Grid {
  readonly size: readonly [height: number, width: number];
  readonly cells: readonly number[];
  readonly others: readonly number[];
}

/** Found before, for layers after layers have the same parts. */
const grids = new WeakMap<readonly Part[], Grid | undefined>();

/** The grid on which parts lie, each cell once; what sees all of the picture or nothing of it may stand among them. */
function gridOf(parts: readonly Part[]): Grid | undefined {
  if (!grids.has(parts)) grids.set(parts, findGrid(parts));
  return grids.get(parts);
}

function findGrid(parts: readonly Part[]): Grid | undefined {
  const isCell = (part: Part) => !isNowhere(part) && !isSame(part, WHOLE);
  const positions = parts.flatMap((part, i) => (isCell(part) ? [i] : []));
  const cellsAlong = (from: 0 | 1) =>
    Math.round(
      1 / positions.reduce((least, i) => Math.min(least, parts[i]![from + 2]! - parts[i]![from]), 1),
    );
  const [height, width] = [cellsAlong(0), cellsAlong(1)];
  if (!(height * width > 1) || positions.length !== height * width) return undefined;
  const cells = Array<number>(height * width).fill(-1);
  for (const i of positions) {
    const [y, x] = [Math.round(parts[i]![0] * height), Math.round(parts[i]![1] * width)];
    if (!isSame(parts[i]!, [y / height, x / width, (y + 1) / height, (x + 1) / width])) return undefined;
    cells[y * width + x] = i;
  }
  if (cells.includes(-1)) return undefined;
  const others = parts.flatMap((part, i) => (isCell(part) ? [] : [i]));
  return { size: [height, width], cells, others };
}

/** The feature map in a value whose elements lie in `places`; a phrase that says why it holds none where it does not. */
export function featureMapView(places: MaybePlaces): FeatureMapView | string {
  if (places === undefined) return 'it does not come from the picture';
  const { shape, kept, parts } = places;
  if (kept.every((n) => n === 1))
    return isSame(coverage(places), WHOLE)
      ? 'every number of it sees the whole picture'
      : 'its numbers are all of one part of the picture';
  if (kept[0] !== 1) return 'it holds parts of the picture as if they were pictures of their own';
  const spatial = kept.flatMap((n, axis) => (n > 1 ? [axis] : []));
  const others = shape.flatMap((n, axis) => (axis > 0 && n > 1 && !spatial.includes(axis) ? [axis] : []));
  if (others.length > 1) return `it has ${others.length} axes of channels`;
  const grid = gridOf(parts) ?? orderedGrid(kept, spatial, parts);
  if (grid === undefined) return 'its numbers do not lie on a grid over the picture';
  const inOrder = grid.others.length === 0 && grid.cells.every((at, i) => at === i);
  if (inOrder && shape.length === 4 && shape[2] === grid.size[0] && shape[3] === grid.size[1])
    return itself(shape[1]!, grid.size);
  return gathered(grid, shape, spatial);
}

/** Rows and columns in two axes that come in order, though parts are repeated, as behind an enlargement. */
function orderedGrid(kept: Shape, spatial: readonly number[], parts: readonly Part[]): Grid | undefined {
  const [y, x] = spatial;
  if (y === undefined || x === undefined || spatial.length > 2 || parts.some(isNowhere)) return undefined;
  const [height, width] = [kept[y]!, kept[x]!];
  const follows = (i: number, before: number, side: 0 | 1) => parts[i]![side] >= parts[before]![side] - 1e-6;
  const isOrdered = parts.every(
    (_, i) => (i % width === 0 || follows(i, i - 1, 1)) && (i < width || follows(i, i - width, 0)),
  );
  const [first, last] = [parts[0]!, parts.at(-1)!];
  const corners =
    isOrdered && Math.max(first[0], first[1]) < 1e-6 && last[2] > 1 - 1 / height && last[3] > 1 - 1 / width;
  return corners ? { size: [height, width], cells: parts.map((_, i) => i), others: [] } : undefined;
}

/** Positions `from` some of an axis, without a copy of indices where they follow one another. */
function rows(x: Tensor, positions: readonly number[]): Tensor {
  const [first = 0] = positions;
  if (positions.every((at, i) => at === first + i)) return narrow(x, 1, first, positions.length);
  return gather(x, indexTensor(x.device, positions, [positions.length]), 1);
}

function gathered({ size, cells, others }: Grid, shape: Shape, spatial: readonly number[]): FeatureMapView {
  const [height, width] = size;
  const rest = shape.flatMap((_, axis) => (axis > 0 && !spatial.includes(axis) ? [axis] : []));
  const order = [0, ...spatial, ...rest];
  const back = order.map((_, axis) => order.indexOf(axis));
  const sorted = order.slice(1).map((axis) => shape[axis]!);
  const count = cells.length + others.length;
  /** [N, positions, K] */
  const listed = (output: Tensor) => reshape(transpose(output, order), [output.shape[0]!, count, -1]);
  const first = least(cells);
  const isRun = cells.every((at, i) => at === first + i);
  /** Where each position stands among the cells and then the others. */
  const place = [...cells, ...others].reduce<number[]>((at, position, i) => {
    at[position] = i;
    return at;
  }, []);
  return {
    channels: rest.reduce((product, axis) => product * shape[axis]!, 1),
    grid: size,
    toMap(output) {
      const map = transpose(rows(listed(output), cells), [0, 2, 1]);
      return reshape(map, [map.shape[0]!, map.shape[1]!, height, width]);
    },
    fromMap(map, like) {
      const [batch, channels] = map.shape as [number, number];
      const onGrid = transpose(reshape(map, [batch, channels, cells.length]), [0, 2, 1]);
      const beside = (positions: readonly number[]) => {
        const found = rows(listed(like), positions);
        return broadcastTo(found, [batch, ...found.shape.slice(1)]);
      };
      const runs = (from: readonly number[]) => (from.length > 0 ? [beside(from)] : []);
      const all = isRun
        ? concat(
            [...runs(others.filter((at) => at < first)), onGrid, ...runs(others.filter((at) => at > first))],
            1,
          )
        : rows(concat([onGrid, ...runs(others)], 1), place);
      return transpose(reshape(all, [batch, ...sorted]), back);
    },
  };
}
