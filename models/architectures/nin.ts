// Network in Network for CIFAR (Lin 2013, section 4.2), as pytorchcv names it (nin_cifar10): each stage is a convolution
// and 1x1 convolutions behind it; the last gives one map a class.

import type { Graph, GraphNode } from '../graph.ts';
import { avgPool, conv, dropout, globalAvgPool, maxPool, relu } from '../layers.ts';

/** A stage: how it pools, its first convolution's kernel, output channels of all its convolutions. */
const stages = [
  { pool: undefined, kernel: 5, channels: [192, 160, 96] },
  { pool: maxPool, kernel: 5, channels: [192, 192, 192] },
  { pool: avgPool, kernel: 3, channels: [192, 192] },
] as const;

export function ninCifar(classes = 10): Graph {
  const nodes: GraphNode[] = [];
  let [input, from] = ['input', 3];
  for (const [s, { pool, kernel, channels }] of stages.entries()) {
    const stage = `features.stage${s + 1}`;
    if (pool !== undefined) {
      const [pooled, dropped] = [`${stage}.pool${s + 1}`, `${stage}.dropout${s + 1}`];
      nodes.push(pool(pooled, input, { kernel: 3, stride: 2, padding: 1 }), dropout(dropped, pooled));
      input = dropped;
    }
    for (const [i, out] of channels.entries()) {
      const unit = `${stage}.unit${i + 1}`;
      const size = i === 0 ? kernel : 1;
      nodes.push(conv(`${unit}.conv`, input, { in: from, out, kernel: size, padding: (size - 1) / 2 }));
      nodes.push(relu(unit, `${unit}.conv`));
      [input, from] = [unit, out];
    }
  }
  nodes.push(
    conv('output.final_conv.conv', input, { in: from, out: classes, kernel: 1 }),
    relu('output.final_conv', 'output.final_conv.conv'),
    globalAvgPool('output.final_pool', 'output.final_conv'),
  );
  return { nodes, output: 'output.final_pool' };
}
