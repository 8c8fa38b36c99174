// The targets that there are, by what of the outputs they are made of.

import {
  add,
  div,
  logSoftmax,
  mul,
  narrow,
  neg,
  reshape,
  softmax,
  softplus,
  sqrt,
  sum,
  type Tensor,
} from '../engine/index.ts';
import type { Box } from '../models/detection.ts';
import type { Network } from '../models/network.ts';
import { TargetError } from './errors.ts';
import type { Outputs } from './outputs.ts';
import { element, type LogitSum, type Target } from './target.ts';

export { scoreOf } from './target.ts';

/** The logit of a class; what is explained unless something else is asked for. */
export const logit = (index: number): LogitSum => ({ logits: [[index, 1]] });

/** Minus the logit of a class: what speaks against it, as the negative answer of a sigmoid. */
export const not = (index: number): LogitSum => ({ logits: [[index, -1]] });

/** By how much one class's logit exceeds another's: what tells the two apart (Zhang 2025, Finer-CAM). */
export const difference = (index: number, other: number): LogitSum => ({
  logits: [
    [index, 1],
    [other, -1],
  ],
});

/**
 * The logit of a class less a share of the mean of others', which leaves out what they have in common (Zhang 2025,
 * Finer-CAM, whose references are the classes most like it).
 */
export const finer = (index: number, others: readonly number[], share = 0.6): LogitSum => ({
  logits: [[index, 1], ...others.map((other) => [other, -share / others.length] as const)],
});

/** The log-probability of a class: under softmax, or under the sigmoid where classes are independent. */
export function logProbability(index: number, kind: Network['probabilities'] = 'softmax'): Target {
  return assertProbable(kind) === 'softmax'
    ? ({ logits }) => element(logSoftmax(logits, 1), index)
    : ({ logits }) => neg(softplus(neg(element(logits, index)))); // log 1 / (1 + e^-z)
}

/** The probability of a class, likewise. Its gradient vanishes where the network is sure; the log-probability's does not. */
export function probability(index: number, kind: Network['probabilities'] = 'softmax'): Target {
  return assertProbable(kind) === 'softmax'
    ? ({ logits }) => element(softmax(logits, 1), index)
    : { ...logit(index), through: 'sigmoid' };
}

/**
 * A class's logit and the logarithm of its softmax, which leaves what all logits share in neither (Cai 2025, Shapley-CAM).
 */
export const residualSoftmax =
  (index: number): Target =>
  ({ logits }) =>
    add(element(logits, index), element(logSoftmax(logits, 1), index));

function assertProbable(kind: Network['probabilities']): 'softmax' | 'sigmoid' {
  if (kind !== 'none') return kind;
  throw new TargetError(
    'the network gives values, not probabilities of classes; explain its logit, the value',
  );
}

/** One number of an output, such as a regression's [N, values]; index 0 unless another is given. */
export const value =
  (name: string, index = 0): Target =>
  (outputs) =>
    element(outputOf(outputs, name), index);

/** The score of one box of a detector: how probable an object of its class is there. `boxesOf` finds boxes. */
export function box(
  { detection, name }: Pick<Network, 'detection' | 'name'>,
  { proposal, classIndex }: Box,
): Target {
  if (!detection) throw new TargetError(`${name} is no detector; it gives no boxes`);
  return (outputs) => {
    const scores = narrow(outputOf(outputs, detection.scores), 1, proposal, 1);
    return element(scores, classIndex);
  };
}

/** The sum of a class's scores over a region, 1 inside [h, w], of a segmentation map [N, classes, h, w]. */
export const region =
  (name: string, index: number, mask: Tensor) =>
  (outputs: Outputs): Tensor =>
    reshape(sum(mul(narrow(outputOf(outputs, name), 1, index, 1), mask), [1, 2, 3]), [-1]);

/** The cosine between an output [N, D] and an embedding [D]. */
export const similarity =
  (name: string, embedding: Tensor): Target =>
  (outputs) => {
    const x = outputOf(outputs, name);
    const length = sqrt(mul(sum(mul(x, x), [1]), sum(mul(embedding, embedding))));
    return div(sum(mul(x, embedding), [1]), length);
  };

function outputOf(outputs: Outputs, name: string): Tensor {
  const output = outputs[name];
  if (output) return output;
  throw new TargetError(
    `the network has no output "${name}"; its outputs are ${Object.keys(outputs).join(', ')}`,
  );
}
