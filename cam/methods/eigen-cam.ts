// Eigen-CAM (Muhammad, Yeasin: Eigen-CAM, IJCNN 2020).
//
//   X = U Sigma V^T       X: A as a matrix [h w, K], not centred
//   M = X v_1             v_1: the first right singular vector, its sign such that sum_xy M >= 0
//
// No class occurs in it: the map is the same whatever is explained. A singular vector has no sign; the paper leaves it
// open. Where A >= 0 it is settled: by the theorem of Perron and Frobenius v_1 >= 0 then, and so is M. Where the second
// singular value comes close to the first, any mixture of the two vectors would do as well, and the map is arbitrary.
//
// v_1 is found from the smaller of X^T X and X X^T, squared again and again until one eigenvector is left.

import {
  affine,
  concat,
  divideByMaxNorm,
  matmul,
  maxNorm,
  mul,
  reshape,
  scope,
  sqrt,
  step,
  sub,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { normal, random } from '../../models/train/data/random.ts';
import { unit, weightedSum } from '../map.ts';
import type { Method } from '../method.ts';
import { tensorOf } from '../numbers.ts';

/** So many squarings are a power of 2^14. */
const SQUARINGS = 14;
/** Above this share of the first singular value, the second is close. */
const CLOSE = 0.9;

/** The eigenvector [n, 1] of the largest eigenvalue of a symmetric matrix [n, n] without negative ones. */
function leadingEigenvector(gram: Tensor): Tensor {
  const [n] = gram.shape as [number];
  const next = random(1);
  const start = tensorOf(gram.device, [n, 1], () => normal(next));
  return scope(() => {
    let power = divideByMaxNorm(gram);
    for (let i = 0; i < SQUARINGS; i++) {
      const last = power;
      power = scope(() => divideByMaxNorm(matmul(last, last)));
      last.dispose();
    }
    return unit(matmul(gram, unit(matmul(power, start))));
  });
}

export const eigenCam: Method = {
  name: 'eigen-cam',
  title: 'Eigen-CAM',
  paper: 'Muhammad 2020',
  relu: false,
  terms: {
    s: {
      tex: '\\sigma_1, \\sigma_2',
      equation: 'Muhammad 2020, the decomposition of the feature map',
      is: 'the two largest singular values [2]',
      note: ([first, second]) => {
        const free = 'Eigen-CAM does not look at the class: the map is the same for every one';
        const share = first! > 0 ? second! / first! : 0;
        if (share <= CLOSE) return `${free}; the second singular value is ${share.toFixed(2)} of the first`;
        return `${free}; it is arbitrary, as the second singular value is ${share.toFixed(2)} of the first`;
      },
    },
    w_k: {
      tex: 'w = v_1, \\quad X = U \\Sigma V^T, \\quad X = A^{[hw \\times K]}',
      equation: 'Muhammad 2020, the decomposition of the feature map',
      is: 'first right singular vector [K]',
    },
    M: {
      tex: 'M = \\sum_k w_k A_k',
      equation: 'Muhammad 2020, the projection on the first vector',
      is: 'projection of each position on that vector [h, w]',
    },
  },
  explain({ featureMap }) {
    const [, channels, h, w] = featureMap.shape as [number, number, number, number];
    const x = divideByMaxNorm(reshape(featureMap, [channels, h * w])); // X^T
    const byChannel = channels <= h * w;
    const gram = matmul(x, x, !byChannel, byChannel);
    const first = leadingEigenvector(gram);
    const rayleigh = (of: Tensor, vector: Tensor) => sum(mul(vector, matmul(of, vector)));
    const largest = rayleigh(gram, first);
    const rest = sub(gram, mul(largest, matmul(first, first, false, true)));
    const second = rayleigh(gram, leadingEigenvector(matmul(rest, rest)));
    const squares = concat(
      [largest, second].map((value) => reshape(value, [1])),
      0,
    );
    const v = reshape(byChannel ? first : unit(matmul(x, first)), [-1]);
    const total = sum(weightedSum(v, featureMap));
    const minus = step(affine(total, -1, 0));
    const w_k = mul(v, affine(minus, -2, 1));
    return { s: mul(sqrt(squares), maxNorm(featureMap)), w_k, M: weightedSum(w_k, featureMap) };
  },
};
