// What a detector finds in a picture, for people: boxes by number, with their edges in the picture itself.

import { boxesOf, observe } from '../../cam/index.ts';
import type { Tensor } from '../../engine/index.ts';
import type { Network } from '../../models/network.ts';
import type { Pixels } from '../../models/pixels.ts';
import { pictureBox } from '../../models/preprocess.ts';
import { score } from '../image/heat.ts';
import { type FoundBox, table } from './report.ts';

/** The boxes that a detector finds in a picture, of which `input` was made; none of a network that finds no objects. */
export async function boxesIn(network: Network, input: Tensor, pixels: Pixels): Promise<FoundBox[]> {
  if (!network.detection) return [];
  const trace = observe(network, input);
  try {
    const found = await boxesOf(trace);
    return found.map((box) => ({ ...box, ofPicture: pictureBox(network, pixels, box.edges) }));
  } finally {
    trace.dispose();
  }
}

/** Boxes that a table lists; the others are counted. */
const MOST_LISTED = 20;

/** How many boxes there are, and the surest of them as a table. */
export function boxTable(boxes: readonly FoundBox[]): string {
  if (boxes.length === 0) return 'no box of a score of 25 % or more';
  const rows = boxes.slice(0, MOST_LISTED).map((box) => {
    const [x0, y0, x1, y1] = box.ofPicture.map((edge) => edge.toFixed(0));
    return [String(box.number), box.className, score(box.score), `${x0}, ${y0}`, `${x1}, ${y1}`];
  });
  const count = boxes.length === 1 ? 'one box' : `${boxes.length} boxes`;
  const listed = boxes.length > rows.length ? `, of which ${rows.length} are listed` : '';
  return `${count}${listed}\n${table(['box', 'class', 'score', 'from x, y', 'to x, y'], rows)}`;
}
