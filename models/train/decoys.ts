// Training for the right reasons: `digit-dense` on digits with a planted shortcut, and the same with a penalty on evidence
// that lies outside the digit's box. A map is differentiable like anything else:
//
//   L = cross-entropy + mean_n sum_(outside n's box) M_n^2      S = z_c - mean_j z_j,  g = dS/dA
//
//   M = sum_k g_k A_k          HiResCAM: behind ReLUs and linear layers it adds up to S but for the biases
//   M = sum_k mean(g_k) A_k    Grad-CAM: what it averages out costs nothing
//
// S is a difference of logits: one logit alone leaves out what speaks against other classes, and the gradient of a
// log-probability vanishes where the network is sure.

import { add, affine, crossEntropy, grad, mean, mul, scale, sum, type Tensor } from '../../engine/index.ts';
import { digitDense } from '../architectures/shipped.ts';
import { INPUT } from '../graph.ts';
import { type Decoy, makeDecoy } from './data/decoys.ts';
import type { LabelledImages } from './data/labelled-images.ts';
import { random } from './data/random.ts';
import { sgd } from './optimiser.ts';
import type { Batch, Explained, Recipe, Scorer } from './recipe.ts';

const CLASSES = 10;
const LAYER = 'features';
/** Cells of the feature map along each side, and pixels of the picture to one. */
const CELLS = 14;
const CELL = 2;

/** S of each row: the logit of its class less the mean of all [N]. */
const margin = (logits: Tensor, classes: Tensor): Tensor =>
  sum(mul(logits, affine(classes, 1, -1 / CLASSES)), [1]);

/** M [N, 1, h, w] of the gradient and the feature map. */
export const evidence = {
  'hires-cam': (g: Tensor, A: Tensor) => sum(mul(g, A), [1], true),
  'grad-cam': (g: Tensor, A: Tensor) => sum(mul(mean(g, [2, 3], true), A), [1], true),
};

/** The mean over pictures of the squared evidence outside their boxes; `outside` is 1 there, [N, 1, h, w]. */
export function penalty(
  kind: keyof typeof evidence,
  { value: A, logitsOf }: Explained,
  { classes, outside }: Readonly<Record<string, Tensor>>,
): Tensor {
  const g = grad((x) => sum(margin(logitsOf(x), classes!)))(A);
  const M = evidence[kind](g, A);
  return scale(sum(mul(outside!, mul(M, M))), 1 / A.shape[0]!);
}

/** Pictures, classes and what lies outside the boxes. */
function batchOf(decoys: readonly Decoy[]): Batch {
  const count = decoys.length;
  const pixels = new Float32Array(count * 784);
  const classes = new Float32Array(count * CLASSES);
  const outside = new Float32Array(count * CELLS * CELLS).fill(1);
  decoys.forEach((decoy, n) => {
    for (let i = 0; i < 784; i++) pixels[n * 784 + i] = (decoy.pixels[i]! / 255 - 0.1307) / 0.3081;
    classes[n * CLASSES + decoy.class] = 1;
    const [x0, y0, x1, y1] = decoy.box;
    for (let y = Math.floor(y0 / CELL); y * CELL < y1; y++)
      for (let x = Math.floor(x0 / CELL); x * CELL < x1; x++) outside[(n * CELLS + y) * CELLS + x] = 0;
  });
  return {
    inputs: { [INPUT]: { shape: [count, 1, 28, 28], data: pixels } },
    targets: {
      classes: { shape: [count, CLASSES], data: classes },
      outside: { shape: [count, 1, CELLS, CELLS], data: outside },
    },
  };
}

/** Without a penalty where no map is named. */
export function decoyRecipe(
  { train, test }: { readonly train: LabelledImages; readonly test: LabelledImages },
  scorer: () => Scorer,
  kind?: keyof typeof evidence,
): Recipe {
  return {
    graph: digitDense(),
    explained: LAYER,
    epochs: 2,
    batch: 64,
    seed: 10,
    rate: 0.02,
    update: sgd({ momentum: 0.9, weightDecay: 5e-4 }),
    trainCount: train.count,
    testCount: test.count,
    loss(logits, targets, _, explained) {
      const wrong = crossEntropy(logits, targets.classes!);
      return kind === undefined ? wrong : add(wrong, penalty(kind, explained, targets));
    },
    trainBatch: (indices, next) => batchOf([...indices].map((i) => makeDecoy(train, i, 'class', next))),
    testBatch(start, count) {
      const next = random(7_000_000 + start);
      return batchOf(Array.from({ length: count }, (_, i) => makeDecoy(test, start + i, 'any', next)));
    },
    scorer,
  };
}
