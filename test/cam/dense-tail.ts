// The tail of `graphs.dense` in float64, and its derivatives.

import { graphs, randomTensors } from './networks.ts';

/** The tail of `graphs.dense` in float64: 2x2 max pooling, linear, ReLU, linear; A [6, 6, 8] -> a class's logit. */
export function denseTail(index: number, seed: number, biases = 1) {
  const tensors = randomTensors(graphs.dense, seed);
  const of = (key: string) => tensors.get(key)!.data as Float32Array;
  const layer = (x: number[], name: string, outputs: number) =>
    Array.from({ length: outputs }, (_, o) =>
      x.reduce(
        (total, value, i) => total + value * of(`${name}.weight`)[o * x.length + i]!,
        biases * of(`${name}.bias`)[o]!,
      ),
    );
  return (a: ArrayLike<number>): number => {
    const pooled = Array.from({ length: 6 * 3 * 4 }, (_, i) => {
      const [k, y, x] = [Math.floor(i / 12), Math.floor((i % 12) / 4), i % 4];
      const at = k * 48 + 2 * y * 8 + 2 * x;
      return Math.max(a[at]!, a[at + 1]!, a[at + 8]!, a[at + 9]!);
    });
    const hidden = layer(pooled, 'fc1', 10).map((value) => Math.max(0, value));
    return layer(hidden, 'fc2', 4)[index]!;
  };
}

/** Derivatives of a piecewise linear function by differences. */
export const derivatives = (f: (a: number[]) => number, a: ArrayLike<number>): number[] => {
  const at = [...(a as Float32Array)];
  const h = 1e-7;
  return at.map((_, i) => {
    const moved = (by: number) => f(at.map((value, j) => (j === i ? value + by : value)));
    return (moved(h) - moved(-h)) / (2 * h);
  });
};
