// EfficientNet-B0 (Tan 2019, table 1) as torchvision names it.

import type { Graph } from '../graph.ts';
import { dropout, globalAvgPool, linear, sigmoid, silu } from '../layers.ts';
import { lastOf } from './blocks.ts';
import { convNormActivation, invertedResidual, timmKeys } from './inverted-residual.ts';
import type { OtherKeys } from './other-keys.ts';

/** Stages 2 to 8: expansion (MBConv1, MBConv6), kernel, stride of the first layer, channels, layers. */
const stages = [
  [1, 3, 1, 16, 1],
  [6, 3, 2, 24, 2],
  [6, 5, 2, 40, 2],
  [6, 3, 2, 80, 3],
  [6, 5, 1, 112, 3],
  [6, 5, 2, 192, 4],
  [6, 3, 1, 320, 1],
] as const;

export function efficientnetB0(classes = 1000): Graph {
  const nodes = convNormActivation('features.0', 'input', { in: 3, out: 32, kernel: 3, stride: 2 }, silu);
  let from = 32;
  for (const [s, [expansion, kernel, stride, out, layers]] of stages.entries()) {
    for (let i = 0; i < layers; i++) {
      const row = {
        in: from,
        expanded: expansion * from,
        out,
        kernel,
        stride: i === 0 ? stride : 1,
        activation: silu,
        squeeze: { channels: from / 4, inner: silu, gate: sigmoid },
      };
      nodes.push(...invertedResidual(`features.${s + 1}.${i}`, lastOf(nodes), row, 'block'));
      from = out;
    }
  }
  const last = `features.${stages.length + 1}`;
  nodes.push(
    ...convNormActivation(last, lastOf(nodes), { in: from, out: 1280, kernel: 1 }, silu),
    globalAvgPool('avgpool', last),
    dropout('classifier.0', 'avgpool'),
    linear('classifier.1', 'classifier.0', { in: 1280, out: classes }),
  );
  return { nodes, output: 'classifier.1' };
}

export const efficientnetB0TimmKeys = (graph: Graph): OtherKeys =>
  timmKeys(
    graph,
    stages.map(([, , , , layers]) => layers),
    ['conv_head', 'bn2', 'classifier'],
  );
