// ResNets for CIFAR-10 (He 2015, section 4.2) with option A shortcuts, named as akamaster/pytorch_resnet_cifar10 does:
// three stages of n blocks with 16, 32, 64 channels; 6n + 2 layers.

import type { Graph, GraphNode } from '../graph.ts';
import { add, batchNorm, conv, globalAvgPool, linear, relu, shortcutA } from '../layers.ts';

function basicBlock(name: string, input: string, from: number, to: number): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  const stride = from === to ? 1 : 2;
  const shortcut = from === to ? input : part('shortcut');
  return [
    conv(part('conv1'), input, { in: from, out: to, kernel: 3, stride, padding: 1, bias: false }),
    batchNorm(part('bn1'), part('conv1'), to),
    relu(part('relu1'), part('bn1')),
    conv(part('conv2'), part('relu1'), { in: to, out: to, kernel: 3, padding: 1, bias: false }),
    batchNorm(part('bn2'), part('conv2'), to),
    ...(from === to ? [] : [shortcutA(shortcut, input, to - from)]),
    add(part('add'), part('bn2'), shortcut),
    relu(name, part('add')),
  ];
}

/** `blocks` a stage: 3 for ResNet-20, 5 for 32, 7 for 44, 9 for 56. */
export function resnetCifar(blocks: number, classes = 10): Graph {
  const nodes: GraphNode[] = [
    conv('conv1', 'input', { in: 3, out: 16, kernel: 3, padding: 1, bias: false }),
    batchNorm('bn1', 'conv1', 16),
    relu('relu1', 'bn1'),
  ];
  let [input, channels] = ['relu1', 16];
  for (const [stage, width] of [16, 32, 64].entries()) {
    for (let block = 0; block < blocks; block++) {
      const name = `layer${stage + 1}.${block}`;
      nodes.push(...basicBlock(name, input, channels, width));
      [input, channels] = [name, width];
    }
  }
  nodes.push(globalAvgPool('gap', input), linear('linear', 'gap', { in: 64, out: classes }));
  return { nodes, output: 'linear' };
}
