// ResNets for ImageNet (He 2015, table 1), as torchvision and timm name them: in bottlenecks the 3x3 convolution has
// the stride ("v1.5").

import type { Graph, GraphNode } from '../graph.ts';
import { add, globalAvgPool, linear, maxPool, relu } from '../layers.ts';
import { type Centred, convNorm } from './blocks.ts';
import { byPatterns, type OtherKeys, otherKeys } from './other-keys.ts';

/** The residual branch of a block of some width: its convolutions, in order. */
type Branch = (from: number, width: number, stride: number) => readonly Centred[];

const basic: Branch = (from, width, stride) => [
  { in: from, out: width, kernel: 3, stride },
  { in: width, out: width, kernel: 3 },
];

/** `share` is the inner width to that of ResNet-50 (Zagoruyko 2016), in `groups` (Xie 2017). */
const bottleneckOf =
  (share: number, groups: number): Branch =>
  (from, width, stride) => [
    { in: from, out: share * width, kernel: 1 },
    { in: share * width, out: share * width, kernel: 3, stride, groups },
    { in: share * width, out: 4 * width, kernel: 1 },
  ];
const bottleneck = bottleneckOf(1, 1);

function block(name: string, input: string, convs: readonly Centred[], stride: number): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  const [from, to] = [convs[0]!.in, convs.at(-1)!.out];
  const branch = convs.flatMap((spec, i) => {
    const names = [part(`conv${i + 1}`), part(`bn${i + 1}`)] as const;
    const nodes = convNorm(names, i === 0 ? input : part(`relu${i}`), spec);
    return i === convs.length - 1 ? nodes : [...nodes, relu(part(`relu${i + 1}`), names[1])];
  });
  const projected = stride !== 1 || from !== to;
  const names = [part('downsample.0'), part('downsample.1')] as const;
  return [
    ...branch,
    ...(projected ? convNorm(names, input, { in: from, out: to, kernel: 1, stride }) : []),
    add(part('add'), part(`bn${convs.length}`), projected ? names[1] : input),
    relu(name, part('add')),
  ];
}

/** `blocks` of each of the four stages, which have 64, 128, 256 and 512 channels. */
function resnet(branch: Branch, blocks: readonly number[], classes: number): Graph {
  const nodes = [
    ...convNorm(['conv1', 'bn1'], 'input', { in: 3, out: 64, kernel: 7, stride: 2 }),
    relu('relu', 'bn1'),
    maxPool('maxpool', 'relu', { kernel: 3, stride: 2, padding: 1 }),
  ];
  let [input, channels] = ['maxpool', 64];
  for (const [stage, count] of blocks.entries()) {
    for (let i = 0; i < count; i++) {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const convs = branch(channels, 64 * 2 ** stage, stride);
      const name = `layer${stage + 1}.${i}`;
      nodes.push(...block(name, input, convs, stride));
      [input, channels] = [name, convs.at(-1)!.out];
    }
  }
  nodes.push(globalAvgPool('avgpool', input), linear('fc', 'avgpool', { in: channels, out: classes }));
  return { nodes, output: 'fc' };
}

export const resnet18 = (classes = 1000): Graph => resnet(basic, [2, 2, 2, 2], classes);
export const resnet34 = (classes = 1000): Graph => resnet(basic, [3, 4, 6, 3], classes);
export const resnet50 = (classes = 1000): Graph => resnet(bottleneck, [3, 4, 6, 3], classes);
export const resnet101 = (classes = 1000): Graph => resnet(bottleneck, [3, 4, 23, 3], classes);
export const resnet152 = (classes = 1000): Graph => resnet(bottleneck, [3, 8, 36, 3], classes);
export const resnext50 = (classes = 1000): Graph => resnet(bottleneckOf(2, 32), [3, 4, 6, 3], classes);
export const resnext101 = (classes = 1000): Graph => resnet(bottleneckOf(4, 32), [3, 4, 23, 3], classes);
export const wideResnet50 = (classes = 1000): Graph => resnet(bottleneckOf(2, 1), [3, 4, 6, 3], classes);
export const wideResnet101 = (classes = 1000): Graph => resnet(bottleneckOf(2, 1), [3, 4, 23, 3], classes);

/** Keys of Hugging Face's transformers. */
export const resnetHuggingFaceKeys = (graph: Graph): OtherKeys =>
  otherKeys(
    graph,
    byPatterns([
      [/^conv1\./, 'resnet.embedder.embedder.convolution.'],
      [/^bn1\./, 'resnet.embedder.embedder.normalization.'],
      [/^layer(\d)\.(\d+)\./, (_, stage, i) => `resnet.encoder.stages.${Number(stage) - 1}.layers.${i}.`],
      [/\.conv(\d)\./, (_, i) => `.layer.${Number(i) - 1}.convolution.`],
      [/\.bn(\d)\./, (_, i) => `.layer.${Number(i) - 1}.normalization.`],
      [/\.downsample\.0\./, '.shortcut.convolution.'],
      [/\.downsample\.1\./, '.shortcut.normalization.'],
      [/^fc\./, 'classifier.1.'],
    ]),
  );
