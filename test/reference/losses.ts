// Losses, as plain numbers.

import { type Array64, check } from './array.ts';
import { logSoftmax } from './reduction.ts';

/** The mean over the batch of -logSoftmax(logits)[label]: logits [N, classes], a label for each row. */
export function crossEntropy(logits: Array64, labels: ArrayLike<number>): number {
  check(logits.shape.length === 2, `crossEntropy of [${logits.shape}]`);
  const [batch, classes] = logits.shape;
  check(labels.length === batch, `${labels.length} labels for [${logits.shape}]`);
  const logs = logSoftmax(logits, 1).data;
  let total = 0;
  for (let n = 0; n < batch; n++) {
    check(Number.isInteger(labels[n]) && labels[n] >= 0 && labels[n] < classes, `label ${labels[n]}`);
    total -= logs[n * classes + labels[n]];
  }
  return total / batch;
}

/**
 * The mean over all elements of -t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), written as
 * max(z, 0) - z t + log(1 + exp(-|z|)) so that nothing overflows.
 */
export function binaryCrossEntropyWithLogits(logits: Array64, targets: ArrayLike<number>): number {
  check(targets.length === logits.data.length, `${targets.length} targets for [${logits.shape}]`);
  const total = logits.data.reduce(
    (sum, z, i) => sum + Math.max(z, 0) - z * targets[i] + Math.log1p(Math.exp(-Math.abs(z))),
    0,
  );
  return total / targets.length;
}
