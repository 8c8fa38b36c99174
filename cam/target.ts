// What is explained: one number for each row of a network's outputs, made of differentiable operations.

import { add, indexTensor, narrow, reshape, scale, select, sigmoid, type Tensor } from '../engine/index.ts';
import type { Outputs } from './outputs.ts';

/**
 * A sum of logits, each times a factor, or its sigmoid. Being data, it tells what a function would hide: on what it depends
 * linearly, what its gradient is, and which rows of the last layer are enough to compute it.
 */
export interface LogitSum {
  readonly logits: readonly (readonly [index: number, factor: number])[];
  /** What the sum goes through; nothing when left out. */
  readonly through?: 'sigmoid';
}

/** The logit of a class of each row's own, where the rows are several pictures. */
export interface LogitOfEach {
  readonly classes: readonly number[];
}

/** S: logits, or any function of the outputs to [N] whose rows do not depend on one another. */
export type Target = LogitSum | LogitOfEach | ((outputs: Outputs) => Tensor);

/** Whether a target is a sum of logits and nothing more. */
export const isLinear = (target: Target): target is LogitSum | LogitOfEach =>
  typeof target !== 'function' && ('classes' in target || target.through === undefined);

/** S of each row [N]. */
export function scoreOf(target: Target, outputs: Outputs): Tensor {
  if (typeof target === 'function') return target(outputs);
  if ('classes' in target) {
    const { classes } = target;
    return select(outputs.logits, indexTensor(outputs.logits.device, classes, [classes.length]), 1);
  }
  const parts = target.logits.map(([index, factor]) => {
    const column = element(outputs.logits, index);
    return factor === 1 ? column : scale(column, factor);
  });
  const total = parts.reduce(add);
  return target.through === 'sigmoid' ? sigmoid(total) : total;
}

/** Element `index` of each row of an output [N, ...] -> [N]. */
export const element = (output: Tensor, index: number): Tensor =>
  reshape(narrow(reshape(output, [output.shape[0]!, -1]), 1, index, 1), [-1]);
