// ShuffleNetV2 (Ma 2018, table 5) as torchvision names it.

import type { Graph, GraphNode } from '../graph.ts';
import { channelShuffle, channels, concat, globalAvgPool, linear, maxPool, relu } from '../layers.ts';
import { type Centred, convNorm } from './blocks.ts';

const depthwise = (width: number, stride: number): Centred => ({
  in: width,
  out: width,
  kernel: 3,
  stride,
  groups: width,
});
const pointwise = (from: number, to: number): Centred => ({ in: from, out: to, kernel: 1 });

/** A branch: convolutions with batch norm, a ReLU behind every pointwise one, numbered as in an nn.Sequential. */
function branch(name: string, input: string, specs: readonly Centred[]): GraphNode[] {
  const nodes: GraphNode[] = [];
  let [index, from] = [0, input];
  for (const spec of specs) {
    const names = [`${name}.${index}`, `${name}.${index + 1}`] as const;
    nodes.push(...convNorm(names, from, spec));
    [index, from] = [index + 2, names[1]];
    if (spec.groups !== undefined) continue;
    const activation = `${name}.${index}`;
    nodes.push(relu(activation, from));
    [index, from] = [index + 1, activation];
  }
  return nodes;
}

/** Figure 3(d): both branches see everything, and the size is halved. */
function downUnit(name: string, input: string, from: number, to: number): GraphNode[] {
  const half = to / 2;
  const left = branch(`${name}.branch1`, input, [depthwise(from, 2), pointwise(from, half)]);
  const right = branch(`${name}.branch2`, input, [
    pointwise(from, half),
    depthwise(half, 2),
    pointwise(half, half),
  ]);
  return [...left, ...right, ...joined(name, left.at(-1)!.name, right.at(-1)!.name)];
}

/** Figure 3(c): half the channels pass, half are worked on. */
function unit(name: string, input: string, width: number): GraphNode[] {
  const half = width / 2;
  const [passed, split] = [`${name}.passed`, `${name}.split`];
  const right = branch(`${name}.branch2`, split, [
    pointwise(half, half),
    depthwise(half, 1),
    pointwise(half, half),
  ]);
  return [
    channels(passed, input, 0, half),
    channels(split, input, half, half),
    ...right,
    ...joined(name, passed, right.at(-1)!.name),
  ];
}

const joined = (name: string, left: string, right: string): GraphNode[] => [
  concat(`${name}.concat`, [left, right]),
  channelShuffle(name, `${name}.concat`, 2),
];

/** Output channels of Conv1, the three stages and Conv5: the table's columns. Stages have 4, 8 and 4 units. */
function shufflenetV2(
  [stem, stage2, stage3, stage4, last]: readonly [number, number, number, number, number],
  classes: number,
): Graph {
  const nodes: GraphNode[] = [
    ...convNorm(['conv1.0', 'conv1.1'], 'input', { in: 3, out: stem, kernel: 3, stride: 2 }),
    relu('conv1', 'conv1.1'),
    maxPool('maxpool', 'conv1', { kernel: 3, stride: 2, padding: 1 }),
  ];
  let [input, width] = ['maxpool', stem];
  const stages = [
    ['stage2', 4, stage2],
    ['stage3', 8, stage3],
    ['stage4', 4, stage4],
  ] as const;
  for (const [stage, units, to] of stages) {
    for (let i = 0; i < units; i++) {
      const name = `${stage}.${i}`;
      nodes.push(...(i === 0 ? downUnit(name, input, width, to) : unit(name, input, to)));
      [input, width] = [name, to];
    }
  }
  nodes.push(
    ...convNorm(['conv5.0', 'conv5.1'], input, pointwise(width, last)),
    relu('conv5', 'conv5.1'),
    globalAvgPool('avgpool', 'conv5'),
    linear('fc', 'avgpool', { in: last, out: classes }),
  );
  return { nodes, output: 'fc' };
}

export const shufflenetV2x0_5 = (classes = 1000): Graph => shufflenetV2([24, 48, 96, 192, 1024], classes);
export const shufflenetV2x1_0 = (classes = 1000): Graph => shufflenetV2([24, 116, 232, 464, 1024], classes);
