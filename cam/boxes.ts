// The objects that a detector finds: of all boxes that it proposes, the sure ones that no surer one covers.

import type { Box } from '../models/detection.ts';
import { TargetError } from './errors.ts';
import { iou } from './metrics/box-overlap.ts';
import type { Trace } from './trace.ts';

/** Which of the proposed boxes are found. */
export interface BoxOptions {
  /** Boxes below this score are left out; 0.25 when left out. */
  readonly score?: number;
  /**
   * A box is left out where it overlaps a surer one of its class by more than this share of what both cover together
   * (intersection over union); 0.45 when left out.
   */
  readonly overlap?: number;
}

/** Most boxes of one picture. */
const MOST = 300;

/**
 * The boxes of a trace's picture, the surest first: each proposal counts for its likeliest class, and of those that overlap
 * the surest stays (greedy non-maximum suppression, class by class), as Ultralytics' detectors do it.
 *
 * @throws {TargetError} if the network finds no objects.
 */
export async function boxesOf(
  { network, outputs }: Trace,
  { score: least = 0.25, overlap = 0.45 }: BoxOptions = {},
): Promise<Box[]> {
  if (!network.detection) throw new TargetError(`${network.name} is no detector; it gives no boxes`);
  const [boxes, scores] = await Promise.all(
    [network.detection.boxes, network.detection.scores].map((name) => outputs[name]!.data()),
  );
  const { classes } = network;
  const found: Omit<Box, 'number'>[] = [];
  for (let proposal = 0; 4 * proposal < boxes!.length; proposal++) {
    const of = scores!.subarray(classes.length * proposal, classes.length * (proposal + 1));
    const classIndex = of.reduce((best, score, k) => (score > of[best]! ? k : best), 0);
    const score = of[classIndex]!;
    if (!(score >= least)) continue;
    const [x, y, width, height] = boxes!.subarray(4 * proposal) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const edges = [x - width / 2, y - height / 2, x + width / 2, y + height / 2] as const;
    found.push({ proposal, classIndex, className: classes[classIndex]!, score, edges });
  }
  const kept: Box[] = [];
  for (const box of found.sort((a, b) => b.score - a.score)) {
    const isCovered = kept.some(
      (surer) => surer.classIndex === box.classIndex && iou(surer.edges, box.edges) > overlap,
    );
    if (!isCovered) kept.push({ ...box, number: kept.length });
    if (kept.length === MOST) break;
  }
  return kept;
}
