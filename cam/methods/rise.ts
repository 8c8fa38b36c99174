// RISE (Petsiuk, Das, Saenko: RISE, BMVC 2018).
//
//   M = 1 / (N p) sum_i f(X * m_i) m_i                f: the class's probability
//
// m_i: a coarse grid of cells, each 1 with probability p and else 0, upsampled and shifted by less than a cell. It sees the
// network from outside alone. X is the network's input after its preprocessing, so 0 is the mean colour where that is
// subtracted, else black. Where a network gives no probabilities, f is what is explained. The paper has 4,000 masks and
// more; here there are 1,000.

import { add, matmul, mul, reshape, scale, tensor } from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { random } from '../../models/train/data/random.ts';
import { chunksInSteps, type Method } from '../method.ts';
import { ofClass, scoreOf } from '../target.ts';

const [MASKS, CELLS, SHARE] = [1000, 8, 0.5];

/** Fills `mask` [h, w] with a random grid, upsampled bilinearly and shifted. */
function drawMask(mask: Float32Array, [h, w]: readonly [number, number], next: () => number): void {
  const side = CELLS + 1;
  const grid = Float32Array.from({ length: (side + 1) ** 2 }, () => Number(next() < SHARE));
  const [top, left] = [next(), next()];
  for (let y = 0; y < h; y++) {
    const v = (y * CELLS) / h + top;
    const row = Math.floor(v);
    for (let x = 0; x < w; x++) {
      const u = (x * CELLS) / w + left;
      const at = row * (side + 1) + Math.floor(u);
      const [down, right] = [v - row, u - Math.floor(u)];
      const upper = grid[at]! * (1 - right) + grid[at + 1]! * right;
      const lower = grid[at + side + 1]! * (1 - right) + grid[at + side + 2]! * right;
      mask[y * w + x] = upper * (1 - down) + lower * down;
    }
  }
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
    const parts = yield* chunksInSteps(MASKS, picture.size, context.progress, (_, count) => {
      const drawn = new Float32Array(count * pixels);
      for (let i = 0; i < count; i++) drawMask(drawn.subarray(i * pixels, (i + 1) * pixels), size, next);
      const masks = tensor(picture.device, drawn, [count, 1, ...size]);
      const kept = scoreOf(f, vary(new Map([[INPUT, mul(picture, masks)]])));
      return reshape(matmul(reshape(kept, [1, count]), reshape(masks, [count, pixels])), size);
    });
    return { M: scale(parts.reduce(add), 1 / (MASKS * SHARE)) };
  },
};
