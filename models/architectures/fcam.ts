// Decoders of F-CAM (Belharbi, Sarraf, Pedersoli, Ben Ayed, McCaffrey, Granger: F-CAM, WACV 2022) for `digit-scenes`: what
// the network knows at a low resolution in, a score of background and one of foreground for each pixel out.
//
// As a U-Net: what is coarse is doubled in size and joined with what is finer, two convolutions, and so on. There is no
// skip at the picture's size, as the paper has it. Enlarging is bilinear, where the official code repeats pixels.

import { div, full, max, maximum, min, sub, type Tensor, upsample } from '../../engine/index.ts';
import type { Graph, GraphNode } from '../graph.ts';
import { concat, conv, plain } from '../layers.ts';
import { block } from './blocks.ts';

/** The input of a decoder that holds the class's map, where it takes one. */
export const CLASS_MAP = 'class map';

/** Maps [N, 1, h, w] brought to 0..1, each by its own range; a flat one becomes 0. */
export function classMap(maps: Tensor): Tensor {
  const low = min(maps, [2, 3], true);
  const range = sub(max(maps, [2, 3], true), low);
  return div(sub(maps, low), maximum(range, full(maps.device, [1], 1e-30)));
}

/** A map at the size of another. */
const resized = (name: string, input: string, like: string): GraphNode =>
  plain(name, 'upsample', [input, like], (x, { shape }) => upsample(x, shape.slice(2) as [number, number]));
const doubled = (name: string, input: string): GraphNode =>
  plain(name, 'upsample', [input], (x) => upsample(x, [2 * x.shape[2]!, 2 * x.shape[3]!]));

/** Two convolutions at half the picture's size, two at its full size: the first reads `from` channels of "skip". */
const decoder = (from: number): GraphNode[] => [
  ...block('decode1.0', 'skip', [from, 32]),
  ...block('decode1.1', 'decode1.0', [32, 32]),
  doubled('up2', 'decode1.1'),
  ...block('decode2.0', 'up2', [32, 16]),
  ...block('decode2.1', 'decode2.0', [16, 16]),
];

/** `stage1` [N, 32, h, w] and `features` [N, 48, h/2, w/2] -> scores [N, 2, 2h, 2w], the background's first. */
export const fcamDigits = (): Graph => ({
  inputs: ['stage1', 'features'],
  nodes: [
    resized('up1', 'features', 'stage1'),
    concat('skip', ['up1', 'stage1']),
    ...decoder(80),
    conv('scores', 'decode2.1', { in: 16, out: 2, kernel: 3, padding: 1 }),
  ],
  output: 'scores',
});

/**
 * The same for one class of several in a picture: the class's CAM [N, 1, h/2, w/2], brought to 0..1, stands in for the
 * features, and the last convolution sees it again.
 */
export const fcamDigitsClass = (): Graph => ({
  inputs: ['stage1', CLASS_MAP],
  nodes: [
    resized('up1', CLASS_MAP, 'stage1'),
    concat('skip', ['up1', 'stage1']),
    ...decoder(33),
    resized('up3', CLASS_MAP, 'up2'),
    concat('last', ['decode2.1', 'up3']),
    conv('scores', 'last', { in: 17, out: 2, kernel: 3, padding: 1 }),
  ],
  output: 'scores',
});
