// RISE (Petsiuk, Das, Saenko: RISE, BMVC 2018).
//
//   M = 1 / (N p) sum_i f(X * m_i) m_i                f: the class's probability
//
// m_i: a coarse grid of cells, each 1 with probability p and else 0, upsampled and shifted by less than a cell. It sees the
// network from outside alone. X is the network's input after its preprocessing, so 0 is the mean colour where that is
// subtracted, else black. Where a network gives no probabilities, f is what is explained. The paper has 4,000 masks and
// more; here there are 1,000.

import {
  add,
  type Device,
  matmul,
  mul,
  reshape,
  scale,
  type Tensor,
  tensor,
  transpose,
} from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { type Random, random } from '../../models/train/data/random.ts';
import { chunksInSteps, type Method } from '../method.ts';
import { scoreOf } from '../target.ts';
import { ofClass } from './score-cam.ts';

const [MASKS, CELLS, SHARE] = [1000, 8, 0.5];
/** Grid points along a side: cells may be shifted by nearly one. */
const POINTS = CELLS + 2;

/** Fills `shares` [size, POINTS]: how much each pixel of a line has of the grid points on both sides of it. */
function drawShares(shares: Float32Array, size: number, shift: number): void {
  for (let i = 0; i < size; i++) {
    const at = (i * CELLS) / size + shift;
    const point = Math.floor(at);
    shares[i * POINTS + point] = 1 - (at - point);
    shares[i * POINTS + point + 1] = at - point;
  }
}

/** Masks [count, 1, h, w]: random grids, upsampled bilinearly, which is linear along rows and columns, and shifted. */
function drawMasks(device: Device, count: number, [h, w]: readonly [number, number], next: Random): Tensor {
  const [rows, columns] = [h, w].map((size) => new Float32Array(count * size * POINTS));
  const grids = new Float32Array(count * POINTS ** 2);
  for (let i = 0; i < count; i++) {
    for (let at = 0; at < POINTS ** 2; at++) grids[i * POINTS ** 2 + at] = Number(next() < SHARE);
    drawShares(rows!.subarray(i * h * POINTS), h, next());
    drawShares(columns!.subarray(i * w * POINTS), w, next());
  }
  const onRows = matmul(
    tensor(device, rows!, [count, h, POINTS]),
    tensor(device, grids, [count, POINTS, POINTS]),
  );
  const across = transpose(tensor(device, columns!, [count, w, POINTS]), [0, 2, 1]);
  return reshape(matmul(onRows, across), [count, 1, h, w]);
}

export const rise: Method = {
  name: 'rise',
  title: 'RISE',
  paper: 'Petsiuk 2018',
  relu: false,
  terms: {
    M: {
      tex: 'M = \\frac{1}{N p} \\sum_i f(X \\circ m_i) \\, m_i',
      equation: 'Petsiuk 2018, the definition',
      is: 'mean of the masks by what they leave of the class [H, W]',
    },
  },
  *explain({ trace }, context) {
    const { picture, vary, network } = trace;
    const size = picture.shape.slice(2) as [number, number];
    const pixels = size[0] * size[1];
    const f = ofClass(context, network.probabilities);
    const next = random(1);
    let sum: Tensor | undefined;
    yield* chunksInSteps(MASKS, picture.size, context.progress, (_, count) => {
      const masks = drawMasks(picture.device, count, size, next);
      const kept = scoreOf(f, vary(new Map([[INPUT, mul(picture, masks)]])));
      const part = reshape(matmul(reshape(kept, [1, count]), reshape(masks, [count, pixels])), size);
      const before = sum;
      sum = before ? add(before, part) : part;
      // A map of a large picture is large: one of each chunk would not fit.
      before?.dispose();
      return sum;
    });
    return { M: scale(sum!, 1 / (MASKS * SHARE)) };
  },
};
