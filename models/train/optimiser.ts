// Stochastic gradient descent with Nesterov momentum and decoupled-from-bias weight decay, and its learning-rate
// schedule; on the device.

import { add, scale, scope, sub, type Tensor } from '../../engine/index.ts';

export interface SgdOptions {
  readonly momentum: number;
  /** L2 penalty on tensors of more than one axis; biases and batch norms are left free. */
  readonly weightDecay: number;
}

/** Linear warm-up over the first fifth, then a cosine down to zero (Loshchilov 2017); `progress` in 0..1. */
export function learningRate(peak: number, progress: number): number {
  const warmUp = 0.2;
  if (progress < warmUp) return peak * (0.1 + (0.9 * progress) / warmUp);
  return (peak / 2) * (1 + Math.cos((Math.PI * (progress - warmUp)) / (1 - warmUp)));
}

/** Replaces each trained parameter by its next value and each velocity likewise. */
export function sgdStep(
  parameters: Map<string, Tensor>,
  velocities: Map<string, Tensor>,
  gradients: ReadonlyMap<string, Tensor>,
  rate: number,
  { momentum, weightDecay }: SgdOptions,
): void {
  for (const [key, gradient] of gradients) {
    const value = parameters.get(key)!;
    const velocity = velocities.get(key);
    const [nextValue, nextVelocity] = scope(() => {
      const g = value.shape.length > 1 ? add(gradient, scale(value, weightDecay)) : gradient;
      const v = velocity === undefined ? scale(g, 1) : add(scale(velocity, momentum), g);
      return [sub(value, scale(add(g, scale(v, momentum)), rate)), v] as const;
    });
    value.dispose();
    velocity?.dispose();
    parameters.set(key, nextValue);
    velocities.set(key, nextVelocity);
  }
}
