// SqueezeNet (Iandola 2016) with torchvision's node and state-dict names. A fire module squeezes by 1x1 and expands by
// 1x1 and 3x3 side by side.

import type { Graph, GraphNode } from '../graph.ts';
import { concat, conv, dropout, globalAvgPool, maxPool, relu } from '../layers.ts';

/** Channels of a fire module: in, squeezed, and of each of the two expansions. */
type Fire = readonly [from: number, squeeze: number, expand: number];

function fire(name: string, input: string, [from, squeeze, expand]: Fire): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  return [
    conv(part('squeeze'), input, { in: from, out: squeeze, kernel: 1 }),
    relu(part('squeeze_activation'), part('squeeze')),
    conv(part('expand1x1'), part('squeeze_activation'), { in: squeeze, out: expand, kernel: 1 }),
    relu(part('expand1x1_activation'), part('expand1x1')),
    conv(part('expand3x3'), part('squeeze_activation'), { in: squeeze, out: expand, kernel: 3, padding: 1 }),
    relu(part('expand3x3_activation'), part('expand3x3')),
    concat(name, [part('expand1x1_activation'), part('expand3x3_activation')]),
  ];
}

type Stage = Fire | 'pool';

const fires: Readonly<Record<'early' | 'middle' | 'late', readonly Fire[]>> = {
  early: [
    [64, 16, 64],
    [128, 16, 64],
  ],
  middle: [
    [128, 32, 128],
    [256, 32, 128],
  ],
  late: [
    [256, 48, 192],
    [384, 48, 192],
    [384, 64, 256],
    [512, 64, 256],
  ],
};

function squeezenet(stem: { out: number; kernel: number }, stages: readonly Stage[], classes: number): Graph {
  const features: GraphNode[] = [
    conv('features.0', 'input', { in: 3, out: stem.out, kernel: stem.kernel, stride: 2 }),
    relu('features.1', 'features.0'),
  ];
  stages.forEach((stage, i) => {
    const [name, input] = [`features.${i + 2}`, `features.${i + 1}`];
    if (stage === 'pool') features.push(maxPool(name, input, { kernel: 3, stride: 2, ceilMode: true }));
    else features.push(...fire(name, input, stage));
  });
  const last = `features.${stages.length + 1}`;
  return {
    nodes: [
      ...features,
      dropout('classifier.0', last),
      conv('classifier.1', 'classifier.0', { in: 512, out: classes, kernel: 1 }),
      relu('classifier.2', 'classifier.1'),
      globalAvgPool('classifier.3', 'classifier.2'),
    ],
    output: 'classifier.3',
  };
}

const [early1, early2] = fires.early as [Fire, Fire];
const [middle1, middle2] = fires.middle as [Fire, Fire];
const [late1, late2, late3, late4] = fires.late as [Fire, Fire, Fire, Fire];

/** SqueezeNet 1.0: 7x7 stem, pools after the stem, fire 4 and fire 8. */
export const squeezenet1_0 = (classes = 1000): Graph =>
  squeezenet(
    { out: 96, kernel: 7 },
    ['pool', [96, 16, 64], early2, middle1, 'pool', middle2, late1, late2, late3, 'pool', late4],
    classes,
  );

/** SqueezeNet 1.1: 3x3 stem, pools earlier, 2.4 times fewer multiplications. */
export const squeezenet1_1 = (classes = 1000): Graph =>
  squeezenet(
    { out: 64, kernel: 3 },
    ['pool', early1, early2, 'pool', middle1, middle2, 'pool', late1, late2, late3, late4],
    classes,
  );
