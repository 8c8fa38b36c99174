// MobileNetV2 (Sandler 2018, table 2) as torchvision names it.

import type { Graph } from '../graph.ts';
import { dropout, globalAvgPool, linear, relu6 } from '../layers.ts';
import { lastOf } from './blocks.ts';
import { convNormActivation, invertedResidual, timmKeys } from './inverted-residual.ts';
import type { OtherKeys } from './other-keys.ts';

/** t: expansion, c: output channels, n: repetitions, s: stride of the first. */
const rows = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

export function mobilenetV2(classes = 1000): Graph {
  const nodes = convNormActivation('features.0', 'input', { in: 3, out: 32, kernel: 3, stride: 2 }, relu6);
  let [index, from] = [1, 32];
  for (const [t, c, n, s] of rows) {
    for (let i = 0; i < n; i++) {
      const stride = i === 0 ? s : 1;
      const row = { in: from, expanded: t * from, out: c, kernel: 3, stride, activation: relu6 };
      nodes.push(...invertedResidual(`features.${index++}`, lastOf(nodes), row, 'conv'));
      from = c;
    }
  }
  const last = `features.${index}`;
  nodes.push(
    ...convNormActivation(last, lastOf(nodes), { in: from, out: 1280, kernel: 1 }, relu6),
    globalAvgPool('avgpool', last),
    dropout('classifier.0', 'avgpool'),
    linear('classifier.1', 'classifier.0', { in: 1280, out: classes }),
  );
  return { nodes, output: 'classifier.1' };
}

export const mobilenetV2TimmKeys = (graph: Graph): OtherKeys =>
  timmKeys(
    graph,
    rows.map(([, , n]) => n),
    ['conv_head', 'bn2', 'classifier'],
  );
