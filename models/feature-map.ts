// How a layer's output holds a feature map: where its elements lie in the picture says it. A convolutional layer's output
// is one as it is; others have their channels last, or are tokens, in whatever order and among whatever other tokens.

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
import {
  follow,
  isNowhere,
  isSame,
  type Places,
  type Span,
  seesWhole,
  together,
  WHOLE,
  type Whereabouts,
} from '../engine/places.ts';
import { remembered } from '../engine/remember.ts';

/** A feature map in a layer's output. */
export interface FeatureMapView {
  readonly channels: number;
  readonly grid: readonly [height: number, width: number];
  /** Positions that are no cell of the grid, such as a class token's, among those of the output. */
  readonly others: readonly number[];
  /** A layer's output, for any batch, as a feature map [N, K, h, w]. */
  readonly toMap: (output: Tensor) => Tensor;
  /** An output for each of N feature maps; what is not on the grid is taken from `like`, an output of batch 1. */
  readonly fromMap: (map: Tensor, like: Tensor) => Tensor;
}

/** The output is the feature map. */
const itself = (channels: number, grid: FeatureMapView['grid']): FeatureMapView => ({
  channels,
  grid,
  others: [],
  toMap: (output) => output,
  fromMap: (map) => map,
});

/** Which element lies where: positions of the cells of a grid, row by row, and of what is on no grid. */
interface Grid {
  readonly size: readonly [height: number, width: number];
  /** Undefined where the elements are the cells in their order. */
  readonly cells: readonly number[] | undefined;
  readonly others: readonly number[];
}

/** The axis of a direction's spans, where that is one along which they follow one another over the whole picture. */
function alongOf({ kept, spans }: Places): number | undefined {
  const [along, ...others] = kept.flatMap((n, axis) => (n > 1 ? [axis] : []));
  if (along === undefined || others.length > 0 || !follow(spans)) return undefined;
  const step = 1 / spans.length;
  const [first, last] = [spans[0]!, spans.at(-1)!];
  // Elements may be repeated, as behind an enlargement, or thinned out.
  return spans.some(isNowhere) || first[0] > 1e-6 || last[1] < 1 - step ? undefined : along;
}

/** Rows in one axis and columns in a later one. */
function planeOf({ rows, columns }: Whereabouts): Grid | undefined {
  const size = [rows, columns].map(({ spans }) => spans.length) as [number, number];
  const isOne = (places: Places) => places.spans.length === 1 && isSame(places.spans[0]!, WHOLE);
  const [y, x] = [alongOf(rows), alongOf(columns)];
  const fits = (y !== undefined && x !== undefined && y < x) || (isOne(rows) && x) || (isOne(columns) && y);
  return fits ? { size, cells: undefined, others: [] } : undefined;
}

/** Found before, for layers after layers have the same spans. */
const grids = new WeakMap<readonly Span[], { columns: readonly Span[]; grid: Grid | undefined }>();

/** Cells of a grid in any order, each once; what sees all of the picture or nothing of it may stand among them. */
function gridOf(where: Whereabouts): Grid | undefined {
  const [rows, columns] = [where.rows.spans, where.columns.spans];
  const before = grids.get(rows);
  if (before?.columns === columns) return before.grid;
  const grid = findGrid(together(where).spans);
  grids.set(rows, { columns, grid });
  return grid;
}

function findGrid(spans: readonly (readonly [row: Span, column: Span])[]): Grid | undefined {
  const isCell = ([row, column]: readonly [Span, Span]) =>
    !isNowhere(row) && !isNowhere(column) && !(isSame(row, WHOLE) && isSame(column, WHOLE));
  const positions = spans.flatMap((both, i) => (isCell(both) ? [i] : []));
  const count = (direction: 0 | 1) =>
    Math.round(
      1 / positions.reduce((n, i) => Math.min(n, spans[i]![direction][1] - spans[i]![direction][0]), 1),
    );
  const [height, width] = [count(0), count(1)];
  if (!(height * width > 1) || positions.length !== height * width) return undefined;
  const cells = Array<number>(height * width).fill(-1);
  for (const i of positions) {
    const [row, column] = spans[i]!;
    const [y, x] = [Math.round(row[0] * height), Math.round(column[0] * width)];
    const isOnGrid =
      isSame(row, [y / height, (y + 1) / height]) && isSame(column, [x / width, (x + 1) / width]);
    if (!isOnGrid) return undefined;
    cells[y * width + x] = i;
  }
  if (cells.includes(-1)) return undefined;
  const others = spans.flatMap((both, i) => (isCell(both) ? [] : [i]));
  const inOrder = others.length === 0 && cells.every((at, i) => at === i);
  return { size: [height, width], cells: inOrder ? undefined : cells, others };
}

/** The feature map in a value by where its elements lie; a phrase that says why it holds none where it does not. */
export const featureMapView = (where: Whereabouts | undefined): FeatureMapView | string =>
  where === undefined ? 'it does not come from the picture' : findView(where);

const findView = remembered((where: Whereabouts): FeatureMapView | string => {
  const { shape } = where.rows;
  const kept = shape.map((_, axis) => Math.max(where.rows.kept[axis]!, where.columns.kept[axis]!));
  if (kept.every((n) => n === 1))
    return seesWhole(where)
      ? 'every number of it sees the whole picture'
      : 'its numbers are all of one part of the picture';
  if (kept[0] !== 1) return 'it holds parts of the picture as if they were pictures of their own';
  const spatial = kept.flatMap((n, axis) => (n > 1 ? [axis] : []));
  const others = shape.flatMap((n, axis) => (axis > 0 && n > 1 && !spatial.includes(axis) ? [axis] : []));
  if (others.length > 1) return `it has ${others.length} axes of channels`;
  const grid = planeOf(where) ?? gridOf(where);
  if (grid === undefined) return 'its numbers do not lie on a grid over the picture';
  const { size, cells } = grid;
  if (cells === undefined && shape.length === 4 && shape[2] === size[0] && shape[3] === size[1])
    return itself(shape[1]!, size);
  return gathered(grid, shape, spatial);
});

/** Some positions of axis 1; where they follow one another, no list of them is uploaded. */
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
  const count = height * width + others.length;
  /** [N, positions, K] */
  const listed = (output: Tensor) => reshape(transpose(output, order), [output.shape[0]!, count, -1]);
  const first = cells ? least(cells) : 0;
  const areConsecutive = cells?.every((at, i) => at === first + i) ?? true;
  /** Where each position stands among the cells and then the others. */
  const place = [...(cells ?? []), ...others].reduce<number[]>((at, position, i) => {
    at[position] = i;
    return at;
  }, []);
  return {
    channels: rest.reduce((product, axis) => product * shape[axis]!, 1),
    grid: size,
    others,
    toMap(output) {
      const list = listed(output);
      const map = transpose(cells ? rows(list, cells) : list, [0, 2, 1]);
      return reshape(map, [map.shape[0]!, map.shape[1]!, height, width]);
    },
    fromMap(map, like) {
      const [batch, channels] = map.shape as [number, number];
      const onGrid = transpose(reshape(map, [batch, channels, height * width]), [0, 2, 1]);
      /** What `like` holds at positions that are on no grid, for each of the batch. */
      const kept = (positions: readonly number[]) => {
        if (positions.length === 0) return [];
        const found = rows(listed(like), positions);
        return [broadcastTo(found, [batch, ...found.shape.slice(1)])];
      };
      const all = areConsecutive
        ? concat(
            [...kept(others.filter((at) => at < first)), onGrid, ...kept(others.filter((at) => at > first))],
            1,
          )
        : rows(concat([onGrid, ...kept(others)], 1), place);
      return transpose(reshape(all, [batch, ...sorted]), back);
    },
  };
}
