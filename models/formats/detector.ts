// Detectors of the YOLO family: one output holds a line of numbers for each box that is proposed. Of it are made boxes,
// scores, and a row of class scores, so that a detector is explained as a classifier is.

import type { Shape } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { Detection } from '../detection.ts';
import type { GraphNode } from '../graph.ts';
import * as layers from '../layers.ts';

/** Pixels from one cell of a grid to the next. */
const STRIDES = [4, 8, 16, 32, 64];
/** Boxes that each cell proposes: one, or one of each of three shapes. */
const PER_CELL = [1, 2, 3];

/** Whether so many boxes are what grids of two or more successive strides propose of a picture. */
function isOfGrids(count: number, [height, width]: readonly [number, number]): boolean {
  const cells = STRIDES.map((stride) => Math.ceil(height / stride) * Math.ceil(width / stride));
  return cells.some((_, from) =>
    cells.some((_, last) => {
      const total = cells.slice(from, last + 1).reduce((sum, n) => sum + n, 0);
      return last > from && PER_CELL.some((boxes) => boxes * total === count);
    }),
  );
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
}

/**
 * The head that reads an output as YOLO exporters write it; undefined where its shape, told of two pictures, is no such
 * output's. `classes` is how many there are, where the file says so.
 *
 * - [N, boxes, 5 + classes] (v3, v5, v7): x, y, width, height, whether there is an object, and of which class
 * - [N, 4 + classes, boxes] (v8 and later): x, y, width, height, and a score of each class
 *
 * x and y are of the centre, in pixels of the input; scores are probabilities. What follows the classes, such as
 * coefficients of masks, is left aside. A class's score is that of the box which is surest of it.
 */
export function detectorHead(
  output: string,
  [batch, second, third, ...rest]: Shape,
  [, , height, width]: Shape,
  classes: number | undefined,
  unique: (name: string) => string,
): Head | undefined {
  if (batch !== 2 || second === undefined || third === undefined || rest.length > 0) return undefined;
  const isTurned = second < third;
  const [count, numbers] = isTurned ? [third, second] : [second, third];
  const first = isTurned ? 4 : 5;
  const classCount = classes ?? numbers - first;
  if (!isOfGrids(count, [height!, width!]) || classCount < 1 || first + classCount > numbers)
    return undefined;

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
      layers.plain(boxes, 'boxes', [lines], (x) => columns(x, 0, 4)),
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
  };
}
