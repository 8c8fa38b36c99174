// Deep Feature Factorization (Collins, Achanta, Suesstrunk: Deep Feature Factorization for Concept Discovery, ECCV 2018).
//
//   X ~ H W,  H, W >= 0        X: ReLU(A) as a matrix [h w, K];  H [h w, n]: where each of n concepts is;  W [n, K]: what it is
//   c_j = sum_xy sum_k g_k H_j W_jk                    what a concept contributes to the target, to first order
//   M   = H_j of the largest c_j
//
// The factors are found by multiplicative updates (Lee 2001), which never raise |X - H W| and keep both at 0 or above, from
// seeded random ones. The paper's factors know no class; the gradient chooses among them.

import { largest } from '../../engine/extremes.ts';
import {
  add,
  div,
  full,
  matmul,
  max,
  mul,
  narrow,
  relu,
  reshape,
  type Shape,
  type Steps,
  scope,
  sqrt,
  sub,
  sum,
  type Tensor,
  transpose,
} from '../../engine/index.ts';
import { random } from '../../models/train/data/random.ts';
import { quotient } from '../map.ts';
import type { Method, MethodContext } from '../method.ts';
import { tensorOf } from '../numbers.ts';
import { gradientTerm } from './grad-cam.ts';

const [CONCEPTS, ROUNDS] = [5, 200];
/** Rounds between which it waits for the device: then progress is told, and it can be ended. */
const STEP = 25;
/** Keeps a division by what has become 0 finite; a share of the largest element of X. */
const LEAST = 1e-9;

/** H [h w, n] and W [n, K] of X [h w, K]. */
function* factors(x: Tensor, progress: MethodContext['progress']): Steps<[Tensor, Tensor]> {
  const [rows, columns] = x.shape as [number, number];
  const next = random(1);
  const positive = (shape: Shape) => tensorOf(x.device, shape, () => 0.1 + next());
  const least = full(x.device, [1], LEAST);
  let [H, W] = [positive([rows, CONCEPTS]), positive([CONCEPTS, columns])];
  for (let round = 0; round < ROUNDS; round++) {
    const before = [H, W];
    [H, W] = scope(() => {
      const h = mul(H, div(matmul(x, W, false, true), add(matmul(H, matmul(W, W, false, true)), least)));
      const w = mul(W, div(matmul(h, x, true), add(matmul(matmul(h, h, true), W), least)));
      return [h, w];
    });
    for (const one of before) one.dispose();
    if ((round + 1) % STEP !== 0) continue;
    yield [W];
    progress?.((round + 1) / ROUNDS);
  }
  return [H, W];
}

export const deepFeatureFactorization: Method = {
  name: 'deep-feature-factorization',
  title: 'Deep Feature Factorization',
  paper: 'Collins 2018',
  relu: false,
  terms: {
    g_k: gradientTerm,
    H: {
      tex: 'H',
      equation: 'Collins 2018, the factorization',
      is: `where each concept is [${CONCEPTS}, h, w]`,
    },
    W: { tex: 'W', equation: 'Collins 2018, the factorization', is: `what each concept is [${CONCEPTS}, K]` },
    c_j: {
      tex: 'c_j = \\sum_{xy} \\sum_k g_k H_j W_{jk}',
      equation: 'not in the paper',
      is: `what each concept contributes to the target [${CONCEPTS}]`,
      note: (c) =>
        `the concepts contribute ${[...c].map((value) => value.toPrecision(2)).join(', ')}; the map is that of the largest`,
    },
    e: {
      tex: '\\frac{\\lVert X - H W \\rVert}{\\lVert X \\rVert}',
      equation: 'Collins 2018, the factorization',
      is: 'what the concepts leave out of the feature map, as a share [1]',
      note: ([left]) => `${CONCEPTS} concepts leave out ${(100 * left!).toFixed(0)} % of the feature map`,
    },
    M: {
      tex: 'M = H_{\\arg\\max_j c_j}',
      equation: 'Collins 2018, one of the factors',
      is: 'where the concept is that contributes most [h, w]',
    },
  },
  *explain({ featureMap, gradient }, { target, progress }) {
    const [, channels, h, w] = featureMap.shape as [number, number, number, number];
    const g_k = gradient(target);
    const columns = relu(reshape(featureMap, [channels, h * w]));
    const most = max(columns);
    const x = transpose(quotient(columns, most), [1, 0]); // X, over its largest element
    const [H, scaledW] = yield* factors(x, progress);
    const W = mul(scaledW, most);
    const c_j = sum(mul(H, matmul(reshape(g_k, [channels, h * w]), W, true, true)), [0]);
    const left = sub(x, matmul(H, scaledW));
    const norm = (of: Tensor) => sqrt(sum(mul(of, of)));
    const [c] = yield [c_j];
    const best = c!.indexOf(largest(c!));
    return {
      g_k,
      H: reshape(transpose(H, [1, 0]), [CONCEPTS, h, w]),
      W,
      c_j,
      e: reshape(quotient(norm(left), norm(x)), [1]),
      M: reshape(narrow(H, 1, best, 1), [h, w]),
    };
  },
};
