// Detectors of the YOLO family: one output holds a line of numbers for each box that is proposed. Of it are made boxes,
// scores, and a row of class scores, so that a detector is explained as a classifier is.

import type { Shape } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { Detection, Segmentation } from '../detection.ts';
import type { GraphNode } from '../graph.ts';
import * as layers from '../layers.ts';
import { letterbox, type Preprocessing, presets } from '../preprocess.ts';

/** Pixels from one cell of a grid to the next. */
const STRIDES = [4, 8, 16, 32, 64];
/** Boxes that each cell proposes: one, or one of each of three shapes. */
const PER_CELL = [1, 2, 3];

/** The strides, successive ones, whose grids propose so many boxes of a picture; undefined where none do. */
function gridsOf(
  count: number,
  [height, width]: readonly [number, number],
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

/**
 * Whether an output is what layers with weights give, moved and joined and through sigmoids, but nothing more: then its boxes
 * are still numbers of cells.
 */
function isUndecoded(output: string, { nodes, shapes }: Imported): boolean {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const names = new Set([output]);
  for (const name of names) {
    const node = byName.get(name);
    if (node === undefined) return false;
    const { weighted, view, order, gives } = node.traits;
    if (weighted) continue;
    const sizes = node.inputs.map((input) => ops.sizeOf(shapes.get(input)!));
    const joins = sizes.length > 1 && sizes.reduce((sum, n) => sum + n, 0) === ops.sizeOf(shapes.get(name)!);
    if (!(view || order || joins || gives === 'sigmoid')) return false;
    for (const input of node.inputs) names.add(input);
  }
  return true;
}

/** Boxes in pixels of the numbers that YOLOX's cells give: x, y from the cell's corner in cells, logarithms of the sides. */
function decoded(x: ops.Tensor, strides: readonly number[], [height, width]: readonly [number, number]) {
  const cells = strides.flatMap((stride) => {
    const [rows, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
    return Array.from({ length: rows * columns }, (_, i) => [i % columns, Math.floor(i / columns), stride]);
  });
  const given = (of: (cell: readonly number[]) => readonly number[]) => {
    const shape = [1, cells.length, of(cells[0]!).length];
    const isDry = x.device.commands === undefined;
    return isDry ? ops.placeholder(x.device, shape) : ops.tensor(x.device, cells.flatMap(of), shape);
  };
  const stride = given((cell) => [cell[2]!]);
  const centres = ops.add(
    ops.narrow(x, 2, 0, 2),
    given((cell) => [cell[0]!, cell[1]!]),
  );
  return ops.concat([ops.mul(centres, stride), ops.mul(ops.exp(ops.narrow(x, 2, 2, 2)), stride)], 2);
}

/** Nodes, and the shape of each one's value. */
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
}

/**
 * The head that reads an output as YOLO exporters write it; undefined where its shape, told of two pictures, is no such
 * output's. `classes` is how many there are, where the file says so.
 *
 * - [N, boxes, 5 + classes] (v3, v5, v7): x, y, width, height, whether there is an object, and of which class
 * - [N, 4 + classes, boxes] (v8 and later): x, y, width, height, and a score of each class
 *
 * x and y are of the centre, in pixels of the input; scores are probabilities. YOLOX's exporter leaves boxes in cells unless it
 * is told otherwise; they are decoded here. What follows the classes, such as
 * coefficients of masks, is left aside. A class's score is that of the box which is surest of it.
 */
export function detectorHead(
  output: string,
  imported: Imported,
  [, , height, width]: Shape,
  classes: number | undefined,
  unique: (name: string) => string,
): Head | undefined {
  const [batch, second, third, ...rest] = imported.shapes.get(output)!;
  if (batch !== 2 || second === undefined || third === undefined || rest.length > 0) return undefined;
  const isTurned = second < third;
  const [count, numbers] = isTurned ? [third, second] : [second, third];
  const first = isTurned ? 4 : 5;
  const classCount = classes ?? numbers - first;
  const size = [height!, width!] as const;
  const grids = gridsOf(count, size);
  if (!grids || classCount < 1 || first + classCount > numbers) return undefined;
  const isYolox = !isTurned && grids.perCell === 1 && isUndecoded(output, imported);

  const lines = isTurned ? unique(`${output}/lines`) : output;
  const [boxes, scores, best] = ['boxes', 'scores', 'best'].map((part) => unique(`${output}/${part}`)) as [
    string,
    string,
    string,
  ];
  const columns = (x: ops.Tensor, start: number, length: number) => ops.narrow(x, 2, start, length);
  return {
    nodes: [
      ...(isTurned ? [layers.transpose(lines, output, [0, 2, 1])] : []),
      layers.plain(boxes, 'boxes', [lines], (x) =>
        isYolox ? decoded(x, grids.strides, size) : columns(x, 0, 4),
      ),
      layers.plain(scores, 'scores', [lines], (x) => {
        const ofClasses = columns(x, first, classCount);
        return isTurned ? ofClasses : ops.mul(columns(x, 4, 1), ofClasses);
      }),
      layers.plain(best, 'max', [scores], (x) => ops.max(x, [1])),
    ],
    detection: { boxes, scores },
    output: best,
    classCount,
    gives: 'none',
    preprocessing: isYolox ? { ...letterbox, ...presets.raw, order: 'bgr' } : letterbox,
  };
}
