// The gradient is the rate at which the logit changes: along a line through the picture X its integral is the difference of
// the ends. The line goes where no two parts of the sum cancel: by random lengths, each in the direction in which the
// gradient says that S rises. It ends where S should have changed by a share of the largest logit, so that rounding hides
// little. The integral is the sum over midpoints of short pieces; what the slope varies from one to the next bounds its error,
// kinks included, and is taken off the difference.

import { add, affine, grad, mul, sum, type Tensor, tensor } from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { random } from '../../models/train/data/random.ts';
import { numbersOfNew } from '../numbers.ts';
import { scoreOf } from '../target.ts';
import { logit } from '../targets.ts';
import { type Claim, magnitude, rounding, roundingReason, total } from './claim.ts';

const PIECES = 16;
/** Share of the largest logit by which S should change to either side. */
const CHANGE = 0.05;
/** The farthest that the line goes, as a share of the picture's largest number. */
const FARTHEST = 0.1;

export const gradient: Claim = {
  name: 'gradient',
  sentence:
    'the gradient of the logit along a line through the picture adds up to the difference of the ends',
  tex: '\\int_{-h}^{h} \\nabla S(X + t d) \\cdot d \\; dt = S(X + h d) - S(X - h d)',
  async residual({ trace }, classIndex, progress) {
    const { picture, outputs, vary } = trace;
    const score = (x: Tensor) => scoreOf(logit(classIndex), vary(new Map([[INPUT, x]]), ['logits']));
    const slopes = grad((x: Tensor) => sum(score(x)));
    const read = async (make: () => Tensor) => (await numbersOfNew(() => [make()]))[0]!;
    const size = magnitude(await outputs.logits.data());
    const next = random(1);
    const lengths = (await read(() => slopes(picture))).map((slope) => (slope < 0 ? -1 : 1) * (0.5 + next()));
    const d = tensor(picture.device, lengths, picture.shape);
    const at = (t: number) => add(picture, affine(d, t, 0));
    const slope = async (t: number) => (await read(() => sum(mul(slopes(at(t)), d))))[0]!;
    const h = Math.min((CHANGE * size) / (await slope(0)), FARTHEST * magnitude(await picture.data()));
    const piece = (2 * h) / PIECES;
    const found: number[] = [];
    for (let i = 0; i < PIECES; i++) {
      found.push(await slope(-h + (i + 0.5) * piece));
      progress((i + 1) / PIECES);
    }
    const [high] = await read(() => score(at(h)));
    const [low] = await read(() => score(at(-h)));
    d.dispose();
    const varies = total(found.slice(1).map((value, i) => Math.abs(value - found[i]!)));
    const off = Math.abs(piece * total(found) - (high! - low!)) - piece * varies;
    return Math.max(0, off) / size;
  },
  // Each end may be off by as much.
  bound: (seen) => 2 * rounding(seen, INPUT),
  because: `${roundingReason}, at both ends`,
};
