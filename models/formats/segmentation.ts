// Networks that score classes at each place of the picture: those that cut it up by what it shows, or read it from left to
// right. Of the scores is made a row, so that such a network is explained as a classifier is.

import * as ops from '../../engine/index.ts';
import type { Whereabouts } from '../../engine/places.ts';
import { featureMapView } from '../feature-map.ts';
import type { GraphNode } from '../graph.ts';
import * as layers from '../layers.ts';
import type { Head } from './detector.ts';

/** An axis of classes and one or two of places, in any order. */
interface Axes {
  /** Undefined where there is one class alone. */
  readonly classes: number | undefined;
  readonly places: readonly number[];
  readonly count: number;
}

function axesOf(where: Whereabouts | undefined): Axes | undefined {
  const view = featureMapView(where);
  if (where === undefined || typeof view === 'string' || view.others.length > 0) return undefined;
  const { shape } = where.rows;
  const places = shape.flatMap((_, axis) =>
    Math.max(where.rows.kept[axis]!, where.columns.kept[axis]!) > 1 ? [axis] : [],
  );
  const rest = shape.flatMap((_, axis) => (axis > 0 && !places.includes(axis) ? [axis] : []));
  const isOneRow = shape.length === 4 && places.length === 1 && rest.length === 2;
  const classes = isOneRow ? rest.find((axis) => shape[axis] !== 1) : rest[0];
  return rest.length <= 1 || isOneRow ? { classes, places, count: view.channels } : undefined;
}

/** What stands before the softmax or sigmoid of an output, through which each place's classes keep their order. */
function beforeProbabilities(
  output: string,
  nodes: ReadonlyMap<string, GraphNode>,
): { readonly node: string; readonly gives: 'softmax' | 'sigmoid' } | undefined {
  for (let at = nodes.get(output); at?.inputs.length === 1; at = nodes.get(at.inputs[0]!)) {
    const { gives, view, increasing, order } = at.traits;
    if (gives) return { node: at.inputs[0]!, gives };
    if (!view && !increasing && !order) return undefined;
  }
  return undefined;
}

/**
 * The head of an output [N, classes, h, w], or with its axes in another order, or with one of places alone; undefined where
 * its elements lie on no grid over the picture. A class's score is the sum of its logits over the places where it is the
 * most probable one (Vinogradova 2020, Seg-Grad-CAM), or, where classes are independent or one alone, where it is probable.
 */
export function segmentationHead(
  output: string,
  { nodes, places }: { nodes: readonly GraphNode[]; places: ReadonlyMap<string, Whereabouts | undefined> },
  unique: (name: string) => string,
): Head | undefined {
  const found = axesOf(places.get(output));
  if (found === undefined) return undefined;
  const before = beforeProbabilities(output, new Map(nodes.map((node) => [node.name, node])));
  const logits = before && axesOf(places.get(before.node));
  const [node, axes, gives] =
    logits?.count === found.count ? [before!.node, logits, before!.gives] : [output, found, undefined];
  const independent = gives === 'sigmoid' || axes.count === 1;
  const [scores, row] = ['scores', 'areas'].map((part) => unique(`${output}/${part}`)) as [string, string];
  return {
    nodes: [
      layers.plain(scores, 'scoresAtPlaces', [node], (x) => {
        const { classes, places: at } = axes;
        const map = ops.transpose(x, [
          0,
          ...(classes === undefined ? [] : [classes]),
          ...at,
          ...ones(x, axes),
        ]);
        const [h, w] = at.map((axis) => x.shape[axis]!) as [number, number?];
        return ops.reshape(map, [x.shape[0]!, axes.count, ...(w === undefined ? [1, h] : [h, w])]);
      }),
      layers.plain(row, 'sumWhereMost', [scores], (x) => {
        const isMost = independent ? ops.step(x) : ops.equal(x, ops.max(x, [1], true));
        return ops.sum(ops.mul(x, ops.stopGradient(isMost)), [2, 3]);
      }),
    ],
    output: row,
    classCount: axes.count,
    gives: 'none',
    segmentation: { scores },
  };
}

/** Axes of size 1 that hold neither classes nor places. */
const ones = ({ shape }: ops.Tensor, { classes, places }: Axes): number[] =>
  shape.flatMap((_, axis) => (axis > 0 && axis !== classes && !places.includes(axis) ? [axis] : []));
