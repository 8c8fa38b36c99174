// DenseNet (Huang 2017, table 1; DenseNet-BC) as torchvision names it. Every layer sees the outputs of all before it in
// its block.

import type { Graph, GraphNode } from '../graph.ts';
import { avgPool, batchNorm, concat, conv, globalAvgPool, linear, maxPool, relu } from '../layers.ts';
import { convNorm } from './blocks.ts';
import { byPatterns, type OtherKeys, otherKeys } from './other-keys.ts';

/** Batch norm, ReLU, convolution: the order that DenseNets have, with torchvision's names numbered by `i`. */
function preActivated(
  part: (suffix: string) => string,
  i: number | '',
  input: string,
  spec: { in: number; out: number; kernel: number },
): GraphNode[] {
  const [norm, activation] = [part(`norm${i}`), part(`relu${i}`)];
  return [
    batchNorm(norm, input, spec.in),
    relu(activation, norm),
    conv(part(`conv${i}`), activation, { ...spec, padding: (spec.kernel - 1) / 2, bias: false }),
  ];
}

/** `layers` of each block; `growth` channels are added by each layer. */
function densenet(layers: readonly number[], growth: number, stem: number, classes: number): Graph {
  const nodes: GraphNode[] = [
    ...convNorm(['features.conv0', 'features.norm0'], 'input', { in: 3, out: stem, kernel: 7, stride: 2 }),
    relu('features.relu0', 'features.norm0'),
    maxPool('features.pool0', 'features.relu0', { kernel: 3, stride: 2, padding: 1 }),
  ];
  let [input, channels] = ['features.pool0', stem];
  for (const [b, count] of layers.entries()) {
    const block = `features.denseblock${b + 1}`;
    for (let i = 1; i <= count; i++) {
      const part = (suffix: string) => `${block}.denselayer${i}.${suffix}`;
      const joined = i === count ? block : part('output');
      nodes.push(
        ...preActivated(part, 1, input, { in: channels, out: 4 * growth, kernel: 1 }),
        ...preActivated(part, 2, part('conv1'), { in: 4 * growth, out: growth, kernel: 3 }),
        concat(joined, [input, part('conv2')]),
      );
      [input, channels] = [joined, channels + growth];
    }
    if (b === layers.length - 1) break;
    const part = (suffix: string) => `features.transition${b + 1}.${suffix}`;
    nodes.push(
      ...preActivated(part, '', input, { in: channels, out: channels / 2, kernel: 1 }),
      avgPool(part('pool'), part('conv'), { kernel: 2, stride: 2 }),
    );
    [input, channels] = [part('pool'), channels / 2];
  }
  nodes.push(
    batchNorm('features.norm5', input, channels),
    relu('relu', 'features.norm5'),
    globalAvgPool('avgpool', 'relu'),
    linear('classifier', 'avgpool', { in: channels, out: classes }),
  );
  return { nodes, output: 'classifier' };
}

export const densenet121 = (classes = 1000): Graph => densenet([6, 12, 24, 16], 32, 64, classes);
export const densenet161 = (classes = 1000): Graph => densenet([6, 12, 36, 24], 48, 96, classes);
export const densenet169 = (classes = 1000): Graph => densenet([6, 12, 32, 32], 32, 64, classes);
export const densenet201 = (classes = 1000): Graph => densenet([6, 12, 48, 32], 32, 64, classes);

/** torchvision's hosted files still have the keys of its first version: norm.1 for norm1. */
export const densenetFirstKeys = (graph: Graph): OtherKeys =>
  otherKeys(graph, byPatterns([[/(denselayer\d+\.(?:norm|conv))([12])/, '$1.$2']]));
