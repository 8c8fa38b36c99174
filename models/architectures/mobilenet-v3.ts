// MobileNetV3 (Howard 2019, tables 1 and 2) as torchvision names it.

import type { Graph } from '../graph.ts';
import { dropout, globalAvgPool, hardSigmoid, hardSwish, linear, relu } from '../layers.ts';
import { lastOf } from './blocks.ts';
import { convNormActivation, invertedResidual, timmKeys } from './inverted-residual.ts';
import type { OtherKeys } from './other-keys.ts';

/** Kernel, exp size, #out, SE, NL (h-swish or ReLU), s: the tables' columns. */
type Row = readonly [kernel: number, expanded: number, out: number, se: boolean, nl: 'HS' | 'RE', s: number];

const large: readonly Row[] = [
  [3, 16, 16, false, 'RE', 1],
  [3, 64, 24, false, 'RE', 2],
  [3, 72, 24, false, 'RE', 1],
  [5, 72, 40, true, 'RE', 2],
  [5, 120, 40, true, 'RE', 1],
  [5, 120, 40, true, 'RE', 1],
  [3, 240, 80, false, 'HS', 2],
  [3, 200, 80, false, 'HS', 1],
  [3, 184, 80, false, 'HS', 1],
  [3, 184, 80, false, 'HS', 1],
  [3, 480, 112, true, 'HS', 1],
  [3, 672, 112, true, 'HS', 1],
  [5, 672, 160, true, 'HS', 2],
  [5, 960, 160, true, 'HS', 1],
  [5, 960, 160, true, 'HS', 1],
];

const small: readonly Row[] = [
  [3, 16, 16, true, 'RE', 2],
  [3, 72, 24, false, 'RE', 2],
  [3, 88, 24, false, 'RE', 1],
  [5, 96, 40, true, 'HS', 2],
  [5, 240, 40, true, 'HS', 1],
  [5, 240, 40, true, 'HS', 1],
  [5, 120, 48, true, 'HS', 1],
  [5, 144, 48, true, 'HS', 1],
  [5, 288, 96, true, 'HS', 2],
  [5, 576, 96, true, 'HS', 1],
  [5, 576, 96, true, 'HS', 1],
];

/** A quarter of the channels, rounded to a multiple of 8, but not down by more than a tenth. */
function squeezed(expanded: number): number {
  const quarter = expanded / 4;
  const rounded = Math.max(8, 8 * Math.floor(quarter / 8 + 0.5));
  return rounded < 0.9 * quarter ? rounded + 8 : rounded;
}

function mobilenetV3(rows: readonly Row[], hidden: number, classes: number, epsilon: number): Graph {
  const stem = { in: 3, out: 16, kernel: 3, stride: 2 };
  const nodes = convNormActivation('features.0', 'input', stem, hardSwish, epsilon);
  let from = 16;
  for (const [i, [kernel, expanded, out, se, nl, stride]] of rows.entries()) {
    const squeeze = { channels: squeezed(expanded), inner: relu, gate: hardSigmoid };
    const activation = nl === 'HS' ? hardSwish : relu;
    const row = { in: from, expanded, out, kernel, stride, activation, epsilon, ...(se && { squeeze }) };
    nodes.push(...invertedResidual(`features.${i + 1}`, lastOf(nodes), row, 'block'));
    from = out;
  }
  const last = `features.${rows.length + 1}`;
  const width = 6 * from;
  nodes.push(
    ...convNormActivation(last, lastOf(nodes), { in: from, out: width, kernel: 1 }, hardSwish, epsilon),
    globalAvgPool('avgpool', last),
    linear('classifier.0', 'avgpool', { in: width, out: hidden }),
    hardSwish('classifier.1', 'classifier.0'),
    dropout('classifier.2', 'classifier.1'),
    linear('classifier.3', 'classifier.2', { in: hidden, out: classes }),
  );
  return { nodes, output: 'classifier.3' };
}

/** `epsilon` is that of the batch norms: 0.001 in torchvision, 0.00001 in timm. */
export const mobilenetV3Large = (classes = 1000, epsilon = 0.001): Graph =>
  mobilenetV3(large, 1280, classes, epsilon);
export const mobilenetV3Small = (classes = 1000, epsilon = 0.001): Graph =>
  mobilenetV3(small, 1024, classes, epsilon);

/** Layers of timm's stages, which end where the channels change; the last convolution is a stage of its own. */
const timm = (graph: Graph, layers: readonly number[]): OtherKeys => {
  const last = `blocks.${layers.length}.0`;
  return timmKeys(graph, layers, [`${last}.conv`, `${last}.bn1`, 'conv_head', 'classifier']);
};
export const mobilenetV3LargeTimmKeys = (graph: Graph): OtherKeys => timm(graph, [1, 2, 3, 4, 2, 3]);
export const mobilenetV3SmallTimmKeys = (graph: Graph): OtherKeys => timm(graph, [1, 2, 3, 2, 3]);
