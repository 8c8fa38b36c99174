// Softmax, log-softmax and the losses on them.

import { isShort } from '../../kernels/kernel.ts';
import { softmax as kernel } from '../../kernels/softmax/softmax.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { apply, type Operation } from '../operation.ts';
import { alias, checkDevices, show, type Tensor, tensor } from '../tensor.ts';
import { around, axisOf } from './axes.ts';
import { add, div, exp, log, mul, neg, softplus, sub, weighted } from './elementwise.ts';
import { affine } from './linear.ts';
import { max, mean, sum } from './reduce.ts';

interface Axis {
  readonly axis: number;
}

const softmaxAlong: Operation<Axis> = {
  name: 'softmax',
  shape: ([x]) => x!.shape,
  forward: ([x], y, { axis }) => {
    const { outer, n, inner } = around(x!.shape, axis);
    run(y.device, kernel(outer, n, inner, false, y.device.profile), [x!.storage], y.storage);
  },
  // dx = y (d - sum(d y))
  vjp: (d, { output: y, attributes: { axis } }) => [mul(y, sub(d, sum(mul(d, y), [axis], true)))],
};

const logSoftmaxAlong: Operation<Axis> = {
  name: 'log-softmax',
  shape: ([x]) => x!.shape,
  forward: ([x], y, { axis }) => {
    const { outer, n, inner } = around(x!.shape, axis);
    run(y.device, kernel(outer, n, inner, true, y.device.profile), [x!.storage], y.storage);
  },
  // dx = d - softmax(x) sum(d)
  vjp: (d, { output: y, attributes: { axis } }) => [sub(d, mul(exp(y), sum(d, [axis], true)))],
};

/** Whether a kernel can go along the axis; else operations do, whose sums are made in parts. */
function isShortAxis({ shape, device }: Tensor, axis: number): boolean {
  const { outer, n, inner } = around(shape, axis);
  return isShort(kernel(outer, n, inner, false, device.profile));
}

/** x less its largest along an axis. Of that no derivative is taken: what is made of the difference does not depend on it. */
const belowLargest = (x: Tensor, axis: number): Tensor => sub(x, max(alias(x), [axis], true));

/** exp(x) / sum(exp(x)) along an axis, without overflow. */
export function softmax(x: Tensor, axis: number): Tensor {
  const at = axisOf('softmax', x.shape, axis);
  if (isShortAxis(x, at)) return apply(softmaxAlong, [x], { axis: at });
  const y = exp(belowLargest(x, at));
  return div(y, sum(y, [at], true));
}

/** log(softmax(x)) along an axis, without overflow. */
export function logSoftmax(x: Tensor, axis: number): Tensor {
  const at = axisOf('logSoftmax', x.shape, axis);
  if (isShortAxis(x, at)) return apply(logSoftmaxAlong, [x], { axis: at });
  const z = belowLargest(x, at);
  return sub(z, log(sum(exp(z), [at], true)));
}

/** Rows of 0 with a 1 at each label: [labels.length, classes]. */
export function oneHot(like: Tensor, labels: ArrayLike<number>, classes: number): Tensor {
  const rows = new Float32Array(labels.length * classes);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new ShapeError(`oneHot: label ${label} is not one of ${classes} classes`);
    }
    rows[i * classes + label] = 1;
  }
  return tensor(like.device, rows, [labels.length, classes]);
}

/** Mean over the batch, [], of -sum(targets * log-softmax(logits)); both [N, classes], each row of targets sums to 1. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  checkDevices('crossEntropy', [logits, targets]);
  if (show(logits.shape) !== show(targets.shape) || logits.shape.length !== 2) {
    throw new ShapeError(
      `crossEntropy: logits ${show(logits.shape)} and targets ${show(targets.shape)} must both be [N, classes]`,
    );
  }
  if (logits.size === 0)
    throw new ShapeError(`crossEntropy: ${show(logits.shape)} has no rows or no classes`);
  return affine(sum(weighted(logSoftmax(logits, 1), targets)), -1 / logits.shape[0]!, 0);
}

/** Mean, [], of t softplus(-x) + (1 - t) softplus(x): cross-entropy of independent yes/no labels t in 0..1, of any shape. */
export function binaryCrossEntropy(logits: Tensor, targets: Tensor): Tensor {
  checkDevices('binaryCrossEntropy', [logits, targets]);
  const yes = weighted(softplus(neg(logits)), targets);
  return mean(add(yes, weighted(softplus(logits), affine(targets, -1, 1))));
}
