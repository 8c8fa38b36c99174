// Attention of transformers, from queries, keys and values packed side by side (Vaswani 2017).

import * as kernels from '../../kernels/attention/attention.ts';
import { type Device, run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { apply, isRecorded, type Operation } from '../operation.ts';
import { placesByElement, productPlaces, reducedPlaces, reshapedPlaces } from '../places.ts';
import { runPlan } from '../plan.ts';
import { checkDevices, sameShape, show, sizeOf, type Tensor, tensor } from '../tensor.ts';
import { add } from './elementwise.ts';
import { narrow, transpose } from './layout.ts';
import { reshape, scale } from './linear.ts';
import { matmul } from './matmul.ts';
import { softmax } from './softmax.ts';

function geometryOf({ shape }: Tensor, heads: number): kernels.AttentionGeometry {
  const [batch, tokens, packed] = shape as [number, number, number];
  const width = packed / 3 / heads;
  if (shape.length !== 3 || !(heads > 0) || !Number.isInteger(width)) {
    throw new ShapeError(`attention: ${show(shape)} is not [N, T, 3 D] for ${heads} heads of equal width`);
  }
  return { batch, tokens, heads, width };
}

/** Whether kernels read `qkv` where it lies: where no derivative is being taken, in whole vec4. */
const isInPlace = ({ width }: kernels.AttentionGeometry, inputs: readonly Tensor[]) =>
  width % 4 === 0 && !isRecorded(inputs);

/** Queries (0), keys (1) or values (2), head by head: [N, heads, T, D / heads]. */
function headsOf(qkv: Tensor, part: 0 | 1 | 2, g: kernels.AttentionGeometry): Tensor {
  const third = narrow(qkv, 2, part * g.heads * g.width, g.heads * g.width);
  return transpose(reshape(third, [g.batch, g.tokens, g.heads, g.width]), [0, 2, 1, 3]);
}

/** In one kernel, without derivative. */
const attentionScores: Operation<kernels.AttentionGeometry> = {
  name: 'attention scores',
  shape: (_, { batch, heads, tokens }) => [batch, heads, tokens, tokens],
  forward: ([qkv], y, g) => {
    const plan = kernels.attentionScores(g, y.device.profile);
    runPlan(y.device, plan, { qkv: qkv!.storage, y: y.storage }, 'attention scores');
  },
  places: ([qkv], shape, { batch, tokens }) => {
    const rows = reducedPlaces(qkv, [2]);
    const [queries, keys] = [
      [batch, 1, tokens, 1],
      [batch, 1, 1, tokens],
    ].map((to) => reshapedPlaces(rows, to));
    return productPlaces(queries, keys, shape, [false, false]);
  },
  multiplyAdds: (_, shape, { width }) => sizeOf(shape) * width,
};

/**
 * softmax(q k^T / sqrt(d)) of every head, from packed [N, T, 3 D]: [N, heads, T, T]; with `causal` over a token and those
 * before it alone, as models of language read.
 */
export function attentionProbabilities(qkv: Tensor, heads: number, causal = false): Tensor {
  const g = geometryOf(qkv, heads);
  const products = () => matmul(headsOf(qkv, 0, g), headsOf(qkv, 1, g), false, true);
  const scores = isInPlace(g, [qkv])
    ? apply(attentionScores, [qkv], g)
    : scale(products(), 1 / Math.sqrt(g.width));
  return softmax(causal ? add(scores, laterTokens(qkv.device, g.tokens)) : scores, 3);
}

/** So low for tokens that come later that nothing is left of their exponentials, and finite: [T, T]. */
function laterTokens(device: Device, tokens: number): Tensor {
  const isLater = (i: number) => i % tokens > Math.floor(i / tokens);
  const low = Float32Array.from({ length: tokens * tokens }, (_, i) => (isLater(i) ? -1e30 : 0));
  return tensor(device, low, [tokens, tokens]);
}

/** In one kernel, without derivative. */
const attentionMixture: Operation<kernels.AttentionGeometry> = {
  name: 'attention mix',
  shape: (_, { batch, heads, tokens, width }) => [batch, tokens, heads * width],
  forward: ([probabilities, qkv], y, g) =>
    run(
      y.device,
      kernels.attentionMix(g, y.device.profile),
      [probabilities!.storage, qkv!.storage],
      y.storage,
    ),
  // Queries' rows, or where those are of no part of the picture all that the values see.
  places: ([probabilities, qkv], shape, { batch, tokens }) =>
    placesByElement(
      [reshapedPlaces(reducedPlaces(probabilities, [1, 3]), [batch, tokens, 1]), reducedPlaces(qkv, [1, 2])],
      shape,
    ),
  multiplyAdds: (_, shape, { tokens }) => sizeOf(shape) * tokens,
};

/** Values averaged by attention probabilities [N, heads, T, T], heads side by side: [N, T, D]. */
export function attentionMix(probabilities: Tensor, qkv: Tensor, heads: number): Tensor {
  checkDevices('attention', [probabilities, qkv]);
  const g = geometryOf(qkv, heads);
  const { batch, tokens, width } = g;
  if (!sameShape(probabilities.shape, [batch, heads, tokens, tokens])) {
    throw new ShapeError(
      `attention: probabilities ${show(probabilities.shape)} for ${heads} heads of ${show(qkv.shape)}`,
    );
  }
  if (isInPlace(g, [probabilities, qkv])) return apply(attentionMixture, [probabilities, qkv], g);
  const mix = transpose(matmul(probabilities, headsOf(qkv, 2, g)), [0, 2, 1, 3]);
  return reshape(mix, [batch, tokens, heads * width]);
}
