// GoogLeNet (Szegedy 2014, table 1) as torchvision has it: with batch norm, and with 3x3 in place of the paper's 5x5
// convolutions. The auxiliary classifiers, which published state dicts hold, serve training alone and are left out.

import type { Graph, GraphNode } from '../graph.ts';
import { channelAffine, concat, dropout, globalAvgPool, linear, maxPool, relu } from '../layers.ts';
import { type Centred, convNorm } from './blocks.ts';

/** #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj: the table's columns. */
type Row = readonly [
  one: number,
  reduce3: number,
  three: number,
  reduce5: number,
  five: number,
  project: number,
];

const rows: Readonly<Record<string, Row>> = {
  inception3a: [64, 96, 128, 16, 32, 32],
  inception3b: [128, 128, 192, 32, 96, 64],
  inception4a: [192, 96, 208, 16, 48, 64],
  inception4b: [160, 112, 224, 24, 64, 64],
  inception4c: [128, 128, 256, 24, 64, 64],
  inception4d: [112, 144, 288, 32, 64, 64],
  inception4e: [256, 160, 320, 32, 128, 128],
  inception5a: [256, 160, 320, 32, 128, 128],
  inception5b: [384, 192, 384, 48, 128, 128],
};

/** The pools after the modules 3b and 4e. */
const pools: Readonly<Record<string, { name: string; kernel: number }>> = {
  inception3b: { name: 'maxpool3', kernel: 3 },
  inception4e: { name: 'maxpool4', kernel: 2 },
};

const unit = (name: string, input: string, spec: Centred): GraphNode[] => [
  ...convNorm([`${name}.conv`, `${name}.bn`], input, spec, 0.001),
  relu(name, `${name}.bn`),
];

function inception(name: string, input: string, from: number, row: Row): GraphNode[] {
  const [one, reduce3, three, reduce5, five, project] = row;
  const branch = (suffix: string) => `${name}.branch${suffix}`;
  return [
    ...unit(branch('1'), input, { in: from, out: one, kernel: 1 }),
    ...unit(branch('2.0'), input, { in: from, out: reduce3, kernel: 1 }),
    ...unit(branch('2.1'), branch('2.0'), { in: reduce3, out: three, kernel: 3 }),
    ...unit(branch('3.0'), input, { in: from, out: reduce5, kernel: 1 }),
    ...unit(branch('3.1'), branch('3.0'), { in: reduce5, out: five, kernel: 3 }),
    maxPool(branch('4.0'), input, { kernel: 3, stride: 1, padding: 1 }),
    ...unit(branch('4.1'), branch('4.0'), { in: from, out: project, kernel: 1 }),
    concat(name, [branch('1'), branch('2.1'), branch('3.1'), branch('4.1')]),
  ];
}

/** Takes input normalised for ImageNet, which it brings to -1 .. 1 itself, as the published weights need. */
export function googlenet(classes = 1000): Graph {
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const halved = { kernel: 3, stride: 2, ceilMode: true };
  const nodes: GraphNode[] = [
    channelAffine('transform_input', 'input', {
      scale: std.map((s) => s / 0.5),
      shift: mean.map((m) => (m - 0.5) / 0.5),
    }),
    ...unit('conv1', 'transform_input', { in: 3, out: 64, kernel: 7, stride: 2 }),
    maxPool('maxpool1', 'conv1', halved),
    ...unit('conv2', 'maxpool1', { in: 64, out: 64, kernel: 1 }),
    ...unit('conv3', 'conv2', { in: 64, out: 192, kernel: 3 }),
    maxPool('maxpool2', 'conv3', halved),
  ];
  let [input, channels] = ['maxpool2', 192];
  for (const [name, row] of Object.entries(rows)) {
    nodes.push(...inception(name, input, channels, row));
    [input, channels] = [name, row[0] + row[2] + row[4] + row[5]];
    const pool = pools[name];
    if (pool === undefined) continue;
    nodes.push(maxPool(pool.name, input, { ...halved, kernel: pool.kernel }));
    input = pool.name;
  }
  nodes.push(
    globalAvgPool('avgpool', input),
    dropout('dropout', 'avgpool'),
    linear('fc', 'dropout', { in: channels, out: classes }),
  );
  return { nodes, output: 'fc' };
}

/** Keys of the auxiliary classifiers. */
export const googlenetUnusedKeys = /^aux[12]\./;
