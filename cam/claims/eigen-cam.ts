// Where A >= 0, A^T A holds no number below 0, and neither does its first eigenvector (Perron 1907, Frobenius 1912): Eigen-CAM
// is nowhere negative, and its sign is no choice.

import { eigenCam } from '../methods/eigen-cam.ts';
import type { TracedLayer } from '../trace.ts';
import { type Claim, magnitude, numbersOf } from './claim.ts';

/** Above this share of the first singular value, the second is so close that rounding may mix the two vectors. */
const CLOSE = 0.999;

async function maybeSigned(seen: TracedLayer): Promise<string | undefined> {
  const values = await seen.featureMap.data();
  if (values.some((value) => value < 0)) return `"${seen.layer}" holds numbers below 0`;
  const { s } = await numbersOf(eigenCam, seen, 0);
  return s![1]! > CLOSE * s![0]! ? 'the first two singular values are alike' : undefined;
}

export const eigenCamIsOneSigned: Claim = {
  name: 'eigen-cam-sign',
  sentence: 'Eigen-CAM of a feature map without negative numbers has none',
  tex: 'A \\geq 0 \\Rightarrow v_1 \\geq 0, \\; M \\geq 0',
  exempt: maybeSigned,
  async residual(seen) {
    const { M } = await numbersOf(eigenCam, seen, 0);
    const below = M!.reduce((least, value) => Math.min(least, value), 0);
    return below === 0 ? 0 : -below / magnitude(M!);
  },
};
