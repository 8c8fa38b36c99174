// Detectors of the YOLO family: a line of numbers for each box that is proposed. Of it are made boxes, scores, and a row of
// class scores, so that a detector is explained as a classifier is.

import type { Shape } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { Detection } from '../detection.ts';
import { type GraphNode, INPUT } from '../graph.ts';
import * as layers from '../layers.ts';
import { letterbox, type Preprocessing, presets } from '../preprocess.ts';
import type { Segmentation } from '../segmentation.ts';
import type { NamedOutput } from './imported.ts';
import { dependencies } from './kit.ts';

type Size = readonly [height: number, width: number];

/** Pixels from one cell of a grid to the next. */
const STRIDES = [4, 8, 16, 32, 64];
/** Boxes that each cell proposes: one, or one of each of three shapes. */
const PER_CELL = [1, 2, 3];

/** The strides, successive ones, whose grids propose so many boxes of a picture; undefined where none do. */
function gridsOf(
  count: number,
  [height, width]: Size,
): { strides: readonly number[]; perCell: number } | undefined {
  for (let from = 0; from < STRIDES.length; from++) {
    for (let end = from + 2; end <= STRIDES.length; end++) {
      const strides = STRIDES.slice(from, end);
      const cells = strides.reduce((n, s) => n + Math.ceil(height / s) * Math.ceil(width / s), 0);
      const perCell = PER_CELL.find((boxes) => boxes * cells === count);
      if (perCell) return { strides, perCell };
    }
  }
  return undefined;
}

/** Column, row and stride of each cell, the finest grid first, each row by row. */
const cellsOf = (strides: readonly number[], [height, width]: Size): number[][] =>
  strides.flatMap((stride) => {
    const [rows, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
    return Array.from({ length: rows * columns }, (_, i) => [i % columns, Math.floor(i / columns), stride]);
  });

/** Whether a parameter that is broadcast to a value is another for each cell, and not only for each channel. */
function variesOverCells(parameter: Shape, value: Shape): boolean {
  const [axis, ...more] = parameter.flatMap((n, i) => (n === 1 ? [] : [value.length - parameter.length + i]));
  const channels = value.length === 3 && value[2]! < value[1]! ? 2 : 1;
  return more.length > 0 || (axis !== undefined && axis !== channels);
}

/**
 * What the boxes of an output are counted in. Where they were decoded, something behind the last layers with weights was
 * different for each cell, its place above all. Where nothing stands there but moves, sigmoids and biases they are numbers of
 * cells. Of anything else it is not known.
 */
function unitOf(output: string, { nodes, shapes }: Imported): 'pixels' | 'cells' | undefined {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const names = new Set([output]);
  let isKnown = true;
  for (const name of names) {
    const node = byName.get(name);
    if (node?.traits.weighted) continue;
    if (node === undefined) return undefined;
    const shape = shapes.get(name)!;
    const parameters = Object.values(node.parameters);
    if (parameters.some((one) => variesOverCells(one.shape, shape))) return 'pixels';
    const { view, order, gives, each } = node.traits;
    const sizes = node.inputs.map((input) => ops.sizeOf(shapes.get(input)!));
    const joins = sizes.length > 1 && sizes.reduce((sum, n) => sum + n, 0) === ops.sizeOf(shape);
    const isBias = each !== undefined && parameters.length > 0 && sizes.length === 1;
    isKnown &&= !!(view || order || joins || gives === 'sigmoid' || isBias);
    for (const input of node.inputs) names.add(input);
  }
  return isKnown ? 'cells' : undefined;
}

/** Boxes in pixels of the numbers that YOLOX's cells give: x, y from the cell's corner in cells, logarithms of the sides. */
function ofCells(x: ops.Tensor, cells: readonly (readonly number[])[]): ops.Tensor {
  const of = (numbers: (cell: readonly number[]) => readonly number[]) =>
    ops.tensor(x.device, cells.flatMap(numbers), [1, cells.length, numbers(cells[0]!).length]);
  const stride = of((cell) => [cell[2]!]);
  const centres = ops.add(
    ops.narrow(x, 2, 0, 2),
    of((cell) => [cell[0]!, cell[1]!]),
  );
  return ops.concat([ops.mul(centres, stride), ops.mul(ops.exp(ops.narrow(x, 2, 2, 2)), stride)], 2);
}

/**
 * Centres and sides of boxes, which may be given by two corners: then no second corner lies before its first. Of centres and
 * sides the last cells of a row would all be wider than they are far from the picture's edge on the left.
 */
function centred(x: ops.Tensor): ops.Tensor {
  const [first, second] = [ops.narrow(x, 2, 0, 2), ops.narrow(x, 2, 2, 2)];
  const sides = ops.sub(second, first);
  const areCorners = ops.affine(ops.step(ops.neg(ops.min(sides, [1, 2], true))), -1, 1);
  return ops.concat(
    [
      ops.add(first, ops.mul(areCorners, ops.affine(sides, 0.5, 0))),
      ops.sub(second, ops.mul(areCorners, first)),
    ],
    2,
  );
}

/** Nodes, and the shape of each one's value, told of two pictures. */
interface Imported {
  readonly nodes: readonly GraphNode[];
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** What an output is made of to be explained. */
export interface Head {
  readonly nodes: readonly GraphNode[];
  /** The node that gives scores [N, classes]. */
  readonly output: string;
  readonly classCount: number;
  /** What their network makes of them. */
  readonly gives?: 'softmax' | 'sigmoid' | 'none' | undefined;
  readonly detection?: Detection;
  readonly segmentation?: Segmentation;
  /** What is known of the input's pixels by the kind of detector. */
  readonly preprocessing?: Partial<Preprocessing>;
  /** What people should know of how it was understood. */
  readonly remark?: string;
}

/** A node that holds a line of numbers for each box. */
interface Lines {
  readonly node: string;
  /** Whether the lines are the columns: [N, 4 + classes, boxes]. */
  readonly isTurned: boolean;
  readonly classCount: number;
  /** Of boxes in cells: column, row and stride of each cell. */
  readonly cells?: readonly (readonly number[])[];
}

/**
 * The lines of a node's value, as YOLO exporters write them; undefined of a value that is no such lines.
 *
 * - [N, boxes, 5 + classes] (v3, v5, v7): x, y, width, height, whether there is an object, and of which class
 * - [N, 4 + classes, boxes] (v8 and later): x, y, width, height, and a score of each class
 *
 * x and y are of the centre, in pixels of the input; scores are probabilities. YOLOX's exporter leaves boxes in cells unless it
 * is told otherwise. What follows the classes, such as coefficients of masks, is left aside. `classes` is how many there are,
 * where the file says so.
 */
function linesOf(
  node: string,
  imported: Imported,
  size: Size,
  classes: number | undefined,
): Lines | undefined {
  const [batch, second, third, ...rest] = imported.shapes.get(node)!;
  if (node === INPUT || batch !== 2 || second === undefined || third === undefined || rest.length > 0)
    return undefined;
  const isTurned = second < third;
  const [count, numbers] = isTurned ? [third, second] : [second, third];
  const first = isTurned ? 4 : 5;
  const classCount = classes ?? numbers - first;
  const grids = gridsOf(count, size);
  if (!grids || classCount < 1 || first + classCount > numbers) return undefined;
  const unit = unitOf(node, imported);
  const isYolox = unit === 'cells' && !isTurned && grids.perCell === 1;
  if (unit !== 'pixels' && !isYolox) return undefined;
  return { node, isTurned, classCount, ...(isYolox && { cells: cellsOf(grids.strides, size) }) };
}

/** The head that reads lines. A class's score is that of the box which is surest of it. */
function headOf({ node, isTurned, classCount, cells }: Lines, unique: (name: string) => string): Head {
  const lines = isTurned ? unique(`${node}/lines`) : node;
  const [boxes, scores, best] = ['boxes', 'scores', 'best'].map((part) => unique(`${node}/${part}`)) as [
    string,
    string,
    string,
  ];
  return {
    nodes: [
      ...(isTurned ? [layers.transpose(lines, node, [0, 2, 1])] : []),
      layers.plain(boxes, 'boxes', [lines], (x) => (cells ? ofCells(x, cells) : centred(x))),
      layers.plain(scores, 'scores', [lines], (x) => {
        const ofClasses = ops.narrow(x, 2, isTurned ? 4 : 5, classCount);
        return isTurned ? ofClasses : ops.mul(ops.narrow(x, 2, 4, 1), ofClasses);
      }),
      layers.plain(best, 'max', [scores], (x) => ops.max(x, [1])),
    ],
    detection: { boxes, scores },
    output: best,
    classCount,
    gives: 'none',
    preprocessing: cells ? { ...letterbox, ...presets.raw, order: 'bgr' } : letterbox,
  };
}

/**
 * The head that reads a detector's scales, as YOLO v8 and later compute them: [N, 4 * bins + classes, h, w] of each stride,
 * likelihoods of the distances from the cell's centre to the box's four sides, 0 to bins - 1 cells, and logits of the classes.
 * Undefined of other outputs. Without `classes` it is not known where the ones end and the others begin.
 */
function headOfScales(
  outputs: readonly string[],
  { shapes }: Imported,
  [height, width]: Size,
  classes: number | undefined,
  unique: (name: string) => string,
): Head | undefined {
  const rowsOf = (name: string) => shapes.get(name)![2]!;
  const scales = [...outputs].sort((a, b) => rowsOf(b) - rowsOf(a));
  const strides = scales.map((name) => height / rowsOf(name));
  const from = STRIDES.indexOf(strides[0]!);
  const numbers = shapes.get(scales[0]!)![1]!;
  const bins = (numbers - (classes ?? Number.NaN)) / 4;
  const fits =
    from >= 0 &&
    bins > 1 &&
    Number.isInteger(bins) &&
    scales.every((name, i) => {
      const expected = [2, numbers, height / strides[i]!, width / strides[i]!];
      return STRIDES[from + i] === strides[i] && String(shapes.get(name)) === String(expected);
    });
  if (!fits) return undefined;
  const cells = cellsOf(strides, [height, width]);
  const lines = unique('scales/lines');
  const decode = (...maps: ops.Tensor[]) => {
    const flat = maps.map((x) => ops.reshape(x, [x.shape[0]!, numbers, -1]));
    const all = ops.concat(flat, 2);
    const [n, , count] = all.shape as [number, number, number];
    const likely = ops.softmax(ops.reshape(ops.narrow(all, 1, 0, 4 * bins), [n, 4, bins, count]), 2);
    const distances = ops.tensor(all.device, [...Array(bins).keys()], [1, 1, bins, 1]);
    const sides = ops.sum(ops.mul(likely, distances), [2]);
    const [before, after] = [ops.narrow(sides, 1, 0, 2), ops.narrow(sides, 1, 2, 2)];
    const of = (...each: ((cell: readonly number[]) => number)[]) =>
      ops.tensor(
        all.device,
        each.flatMap((one) => cells.map(one)),
        [1, each.length, count],
      );
    const centres = of(
      ([column]) => column! + 0.5,
      ([, row]) => row! + 0.5,
    );
    const boxes = ops.concat(
      [ops.add(centres, ops.affine(ops.sub(after, before), 0.5, 0)), ops.add(before, after)],
      1,
    );
    const stride = of(([, , one]) => one!);
    return ops.concat(
      [ops.mul(boxes, stride), ops.sigmoid(ops.narrow(all, 1, 4 * bins, numbers - 4 * bins))],
      1,
    );
  };
  const head = headOf({ node: lines, isTurned: true, classCount: numbers - 4 * bins }, unique);
  return {
    ...head,
    nodes: [layers.plain(lines, 'decode', scales, decode), ...head.nodes],
    remark: `its ${scales.length} outputs are taken as the scales of a YOLO detector of version 8 or later`,
  };
}

/**
 * The heads of a detector's outputs: of each that holds lines; of all that are chosen among lines together, that of these
 * lines; of scales. `classes` is how many classes the file names.
 */
export function detectorHeads(
  outputs: readonly NamedOutput[],
  imported: Imported,
  [, , height, width]: Shape,
  classes: number | undefined,
  unique: (name: string) => string,
): readonly Head[] {
  const size = [height!, width!] as const;
  const read = (node: string) => linesOf(node, imported, size, classes);
  const named = outputs.flatMap(({ node }) => (node === undefined ? [] : [node]));
  const plain = named.flatMap((node) => read(node) ?? []);
  if (plain.length > 0) return plain.map((lines) => headOf(lines, unique));
  const chosen = outputs.find((output) => output.chosen)?.chosen;
  if (chosen) {
    for (const { name } of dependencies(imported.nodes, chosen.among)) {
      const lines = read(name);
      if (lines)
        return [
          {
            ...headOf(lines, unique),
            remark: `the choice that it makes among its boxes is left out; all of "${name}" are chosen among`,
          },
        ];
    }
  }
  const areMaps = named.length > 1 && named.every((node) => imported.shapes.get(node)!.length === 4);
  const scales = areMaps ? headOfScales(named, imported, size, classes, unique) : undefined;
  return scales ? [scales] : [];
}
