// The tail of `graphs.smooth` in float64, for derivatives and sets of channels that no library computes.

import type { Network } from '../../models/network.ts';
import { type Array64, conv2d, globalAvgPool, unary } from '../reference/index.ts';

/** All logits of a feature map [1, 4, h, w]. */
export async function smoothTail(network: Network): Promise<(a: Array64) => number[]> {
  const host = async (key: string): Promise<Array64> => {
    const value = network.parameters.get(key)!;
    return { shape: value.shape, data: Float64Array.from(await value.data()) };
  };
  const [w2, b2, wc, bc] = [
    await host('conv2.weight'),
    await host('conv2.bias'),
    await host('classifier.weight'),
    await host('classifier.bias'),
  ];
  return (a) => {
    const pooled = globalAvgPool(unary.gelu(conv2d(a, w2, { padding: [1, 1, 1, 1] }, b2)));
    return [...bc.data].map((bias, c) =>
      pooled.data.reduce((sum, v, k) => sum + v * wc.data[c * 6 + k]!, bias),
    );
  };
}
