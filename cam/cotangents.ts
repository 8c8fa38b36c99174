// Where a backward pass begins: the derivative of what is explained in each of the network's outputs.

import { leaf, pullback } from '../engine/autograd.ts';
import { full, stopGradient, type Tensor, tensor } from '../engine/index.ts';
import { recording } from '../engine/operation.ts';
import { type Outputs, outputsOf } from './outputs.ts';
import { isLinear, type LogitOfEach, type LogitSum, scoreOf, type Target } from './target.ts';

/** dS / d output for each output on which S depends, at the given outputs. */
export function cotangentsOf(target: Target, outputs: Outputs): Readonly<Record<string, Tensor | undefined>> {
  if (isLinear(target)) return { logits: factorsOf(target, outputs.logits) };
  const names = typeof target === 'function' ? Object.keys(outputs) : ['logits'];
  const leaves = names.map((name) => leaf(stopGradient(outputs[name]!)));
  const score = recording(() => scoreOf(target, outputsOf(names, leaves)));
  const found = pullback([[score, full(score.device, score.shape, 1)]], leaves);
  return Object.fromEntries(names.map((name, i) => [name, found[i]]));
}

/** The factors of a sum of logits, in the shape of the logits [N, ...]. */
function factorsOf(target: LogitSum | LogitOfEach, { device, shape, size }: Tensor): Tensor {
  const factors = new Float32Array(size);
  const classes = size / shape[0]!;
  for (let row = 0; row < shape[0]!; row++) {
    const terms = 'classes' in target ? [[target.classes[row]!, 1] as const] : target.logits;
    for (const [index, factor] of terms) factors[row * classes + index]! += factor;
  }
  return tensor(device, factors, shape);
}
