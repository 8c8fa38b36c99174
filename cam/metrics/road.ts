// ROAD, remove and debias (Rong et al. 2022): pixels are removed by rank and filled in from their neighbours.
//
//   x_i = sum_j w_ij x_j,  w = 1/6 for the four neighbours, 1/12 for the diagonal ones, over those within the picture,
//   divided by their sum; known pixels stay. Then noise of deviation .01 is added to what was filled in.
//
// MoRF removes the most relevant pixels first, LeRF the least; the score is the class's probability, averaged over 20, 40,
// 60 and 80 % removed. `ROAD` is (LeRF - MoRF) / 2. Exactly that share of the pixels is removed, equal values drawn at
// random: by a percentile of values, as pytorch-grad-cam has it, a map with 69 % zeros loses either everything or nothing.

import { normal, random } from '../../models/train/data/random.ts';
import { type Metric, mean, type Picture, type Subject } from './metric.ts';
import { removalOrder } from './removal.ts';

const SHARES = [0.2, 0.4, 0.6, 0.8] as const;
const NOISE = 0.01;
const NEIGHBOURS = [-1, 0, 1].flatMap((dy) =>
  [-1, 0, 1]
    .filter((dx) => dx !== 0 || dy !== 0)
    .map((dx) => ({ dx, dy, weight: dx === 0 || dy === 0 ? 1 / 6 : 1 / 12 })),
);

/** Conjugate gradients stop when the residual is this small, relative to the right-hand side. */
const PRECISION = 1e-9;

/**
 * The picture with the removed pixels filled in by the linear system, without noise. Where every pixel is removed nothing
 * is known, and the picture becomes zeros.
 */
export function imputed(picture: Picture, removed: ArrayLike<number>): Picture {
  const { channels, width, height } = picture;
  const area = width * height;
  const unknown = new Uint8Array(area);
  for (let i = 0; i < removed.length; i++) unknown[removed[i]!] = 1;
  const data = picture.data.slice();
  // A x = (sum of weights) x - sum over unknown neighbours of w x, zero at known pixels.
  const spread = (x: Float64Array, visit: Uint8Array, out: Float64Array) => {
    for (let at = 0; at < area; at++) {
      if (!unknown[at]) continue;
      const [px, py] = [at % width, Math.floor(at / width)];
      let sum = 0;
      for (const { dx, dy, weight } of NEIGHBOURS) {
        const [u, v] = [px + dx, py + dy];
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        if (visit[v * width + u]) sum += weight * x[v * width + u]!;
      }
      out[at] = sum;
    }
  };
  const known = unknown.map((is) => 1 - is);
  const weights = new Float64Array(area);
  spread(new Float64Array(area).fill(1), new Uint8Array(area).fill(1), weights);
  for (let c = 0; c < channels; c++) {
    const plane = Float64Array.from(picture.data.subarray(c * area, (c + 1) * area));
    const right = new Float64Array(area);
    spread(plane, known, right);
    const filled = solve(right, weights, (x, out) => {
      spread(x, unknown, out);
      for (let i = 0; i < area; i++) out[i] = weights[i]! * x[i]! - out[i]!;
    });
    for (let i = 0; i < area; i++) if (unknown[i]) data[c * area + i] = filled[i]!;
  }
  return { channels, width, height, data };
}

/** Conjugate gradients with the diagonal as preconditioner: the system is symmetric and positive definite. */
function solve(
  right: Float64Array,
  diagonal: Float64Array,
  apply: (x: Float64Array, out: Float64Array) => void,
): Float64Array {
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const precondition = (r: Float64Array) =>
    r.map((value, i) => (diagonal[i]! > 0 ? value / diagonal[i]! : 0));
  const x = new Float64Array(right.length);
  const residual = right.slice();
  let direction = precondition(residual);
  let strength = dot(residual, direction);
  const enough = PRECISION ** 2 * dot(right, right);
  const applied = new Float64Array(right.length);
  for (let step = 0; step < right.length && dot(residual, residual) > enough; step++) {
    apply(direction, applied);
    const length = strength / dot(direction, applied);
    for (let i = 0; i < x.length; i++) {
      x[i]! += length * direction[i]!;
      residual[i]! -= length * applied[i]!;
    }
    const ahead = precondition(residual);
    const now = dot(residual, ahead);
    const keep = now / strength;
    direction = ahead.map((value, i) => value + keep * direction[i]!);
    strength = now;
  }
  return x;
}

/** The probabilities of the class, averaged over the shares removed: most relevant first, and least relevant first. */
export async function road(
  subject: Pick<Subject, 'map' | 'picture' | 'probabilities' | 'seed'>,
): Promise<{ morf: number; lerf: number }> {
  const { map, picture, probabilities, seed } = subject;
  const next = random(seed);
  const order = removalOrder(map, next);
  const area = order.length;
  const without = (removed: Uint32Array): Picture => {
    const filled = imputed(picture, removed);
    for (const at of removed) {
      for (let c = 0; c < picture.channels; c++) filled.data[c * area + at]! += NOISE * normal(next);
    }
    return filled;
  };
  const counts = SHARES.map((share) => Math.round(share * area));
  const scores = await probabilities([
    ...counts.map((count) => without(order.subarray(0, count))),
    ...counts.map((count) => without(order.subarray(area - count))),
  ]);
  const average = (some: readonly number[]) => some.reduce((sum, p) => sum + p, 0) / some.length;
  return { morf: average(scores.slice(0, counts.length)), lerf: average(scores.slice(counts.length)) };
}

export const roadMetric: Metric = {
  name: 'road',
  needs: 'nothing',
  async measure(subject) {
    const { morf, lerf } = await road(subject);
    return [(lerf - morf) / 2, morf, lerf, 1];
  },
  columns: [mean('ROAD', 'higher'), mean('MoRF', 'lower', '%', 1), mean('LeRF', 'higher', '%', 2)],
};
