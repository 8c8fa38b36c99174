// Small random networks with known structure, for the theorems.

import { type Device, mean, reshape } from '../../engine/index.ts';
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import type { Graph } from '../../models/graph.ts';
import {
  add,
  conv,
  flatten,
  gelu,
  globalAvgPool,
  linear,
  maxPool,
  plain,
  relu,
} from '../../models/layers.ts';
import { loadNetwork, type Network, type NetworkDescription } from '../../models/network.ts';
import { seededRandom } from '../reference/index.ts';

export const graphs = {
  /** GAP + linear behind a residual block. */
  gapLinear: {
    nodes: [
      conv('conv1', 'input', { in: 3, out: 8, kernel: 3, padding: 1 }),
      relu('relu1', 'conv1'),
      maxPool('pool', 'relu1', { kernel: 2, stride: 2 }),
      conv('conv2', 'pool', { in: 8, out: 8, kernel: 3, padding: 1 }),
      relu('relu2', 'conv2'),
      add('features', 'pool', 'relu2'),
      globalAvgPool('gap', 'features'),
      linear('classifier', 'gap', { in: 8, out: 5 }),
    ],
    output: 'classifier',
  },
  /** 1x1 convolution + ReLU + GAP. */
  convGap: {
    nodes: [
      conv('conv1', 'input', { in: 3, out: 6, kernel: 3, stride: 2, padding: 1 }),
      relu('features', 'conv1'),
      conv('scores', 'features', { in: 6, out: 4, kernel: 1 }),
      relu('scores.relu', 'scores'),
      globalAvgPool('gap', 'scores.relu'),
    ],
    output: 'gap',
  },
  /** GAP + linear as some exporters write it: a 1x1 convolution of one pixel, and a reshape. */
  gapConv: {
    nodes: [
      conv('conv1', 'input', { in: 3, out: 6, kernel: 3, padding: 1 }),
      relu('features', 'conv1'),
      plain('gap', 'globalAvgPool', ['features'], (x) => mean(x, [2, 3], true)),
      conv('scores', 'gap', { in: 6, out: 4, kernel: 1 }),
      plain('logits', 'reshape', ['scores'], (x) => reshape(x, [x.shape[0]!, 4])),
    ],
    output: 'logits',
  },
  /** A ReLU tail with fully connected layers: CAM does not apply; S is piecewise linear in A. */
  dense: {
    nodes: [
      conv('conv1', 'input', { in: 3, out: 6, kernel: 3, padding: 1 }),
      relu('features', 'conv1'),
      maxPool('pool', 'features', { kernel: 2, stride: 2 }),
      flatten('flatten', 'pool'),
      linear('fc1', 'flatten', { in: 6 * 3 * 4, out: 10 }),
      relu('relu', 'fc1'),
      linear('fc2', 'relu', { in: 10, out: 4 }),
    ],
    output: 'fc2',
  },
  /** A GELU tail: S has second and third derivatives. */
  smooth: {
    nodes: [
      conv('conv1', 'input', { in: 3, out: 4, kernel: 3, padding: 1 }),
      relu('features', 'conv1'),
      conv('conv2', 'features', { in: 4, out: 6, kernel: 3, padding: 1 }),
      gelu('gelu', 'conv2'),
      globalAvgPool('gap', 'gelu'),
      linear('classifier', 'gap', { in: 6, out: 3 }),
    ],
    output: 'classifier',
  },
} satisfies Record<string, Graph>;

/** Random parameters for a graph, seeded. */
export function randomTensors(graph: Graph, seed: number): Map<string, HostTensor> {
  const next = seededRandom(seed);
  return new Map(
    graph.nodes.flatMap((node) =>
      Object.values(node.parameters).map(({ key, shape }) => {
        const size = shape.reduce((product, n) => product * n, 1);
        const width = Math.sqrt(6 / Math.max(1, size / (shape[0] ?? 1)));
        return [
          key,
          { shape, data: Float32Array.from({ length: size }, () => (next() * 2 - 1) * width) },
        ] as const;
      }),
    ),
  );
}

/** A network of random weights on a device. */
export function randomNetwork(device: Device, graph: Graph, seed = 1, targetLayer = 'features'): Network {
  const classes = Array.from({ length: 5 }, (_, i) => `class ${i}`);
  const description: NetworkDescription = {
    name: 'random',
    summary: '',
    graph,
    preprocessing: { channels: 3, scale: 255, mean: [0, 0, 0], std: [1, 1, 1] },
    classes,
    probabilities: 'softmax',
    targetLayer,
  };
  return loadNetwork(device, description, randomTensors(graph, seed));
}
