// Optimisers and their learning-rate schedule; on the device.

import { add, affine, div, mul, scale, scope, sqrt, sub, type Tensor } from '../../engine/index.ts';

/** One parameter's step: its next value, and what the optimiser remembers of it. */
export type Update = (
  value: Tensor,
  gradient: Tensor,
  memory: readonly Tensor[] | undefined,
  rate: number,
) => { readonly value: Tensor; readonly memory: readonly Tensor[] };

/** Biases and the parameters of norms have one axis and are left free of decay. */
const decays = (value: Tensor) => value.shape.length > 1;

/** Stochastic gradient descent with Nesterov momentum; weight decay as an L2 penalty. */
export const sgd =
  ({ momentum, weightDecay }: { momentum: number; weightDecay: number }): Update =>
  (value, gradient, memory, rate) => {
    const g = decays(value) ? add(gradient, scale(value, weightDecay)) : gradient;
    const v = memory === undefined ? scale(g, 1) : add(scale(memory[0]!, momentum), g);
    return { value: sub(value, scale(add(g, scale(v, momentum)), rate)), memory: [v] };
  };

/**
 * Adam with decoupled weight decay (Kingma 2014, Loshchilov 2019). The moments start as the first gradient's rather
 * than at zero, so that they need no correction for the number of steps.
 */
export const adam =
  ({ weightDecay }: { weightDecay: number }): Update =>
  (value, g, memory, rate) => {
    const [mean = g, square = mul(g, g)] = memory ?? [];
    const m = add(scale(mean, 0.9), scale(g, 0.1));
    const v = add(scale(square, 0.99), scale(mul(g, g), 0.01));
    const kept = decays(value) ? scale(value, 1 - rate * weightDecay) : value;
    return { value: sub(kept, scale(div(m, affine(sqrt(v), 1, 1e-8)), rate)), memory: [m, v] };
  };

/** Linear warm-up over the first fifth, then a cosine down to zero (Loshchilov 2017); `progress` in 0..1. */
export function learningRate(peak: number, progress: number): number {
  const warmUp = 0.2;
  if (progress < warmUp) return peak * (0.1 + (0.9 * progress) / warmUp);
  return (peak / 2) * (1 + Math.cos((Math.PI * (progress - warmUp)) / (1 - warmUp)));
}

/** Replaces each trained parameter by its next value and what is remembered of it likewise. */
export function takeStep(
  update: Update,
  parameters: Map<string, Tensor>,
  memories: Map<string, readonly Tensor[]>,
  gradients: ReadonlyMap<string, Tensor>,
  rate: number,
): void {
  for (const [key, gradient] of gradients) {
    const value = parameters.get(key)!;
    const memory = memories.get(key);
    const next = scope(() => update(value, gradient, memory, rate));
    for (const old of [value, ...(memory ?? [])]) old.dispose();
    parameters.set(key, next.value);
    memories.set(key, next.memory);
  }
}
