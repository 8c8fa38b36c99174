// Batched matrix product.

import { type Array64, check, filled, forEachIndex, offsetOf } from './array.ts';
import { broadcastShapes, broadcastStrides } from './elementwise.ts';

/** [..., M, K] by [..., K, N] to [..., M, N]; the leading axes broadcast. */
export function matmul(a: Array64, b: Array64): Array64 {
  check(a.shape.length >= 2 && b.shape.length >= 2, `matmul of [${a.shape}] by [${b.shape}]`);
  const [m, k] = a.shape.slice(-2);
  const [inner, n] = b.shape.slice(-2);
  check(k === inner, `matmul of [${a.shape}] by [${b.shape}]: ${k} and ${inner} differ`);
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const batch = broadcastShapes(batchA, batchB);
  const stridesA = broadcastStrides(batchA, batch);
  const stridesB = broadcastStrides(batchB, batch);
  const result = filled([...batch, m, n], 0);
  forEachIndex(batch, (index, position) => {
    const startA = offsetOf(stridesA, index) * m * k;
    const startB = offsetOf(stridesB, index) * k * n;
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let i = 0; i < k; i++) sum += a.data[startA + row * k + i] * b.data[startB + i * n + column];
        result.data[(position * m + row) * n + column] = sum;
      }
    }
  });
  return result;
}
