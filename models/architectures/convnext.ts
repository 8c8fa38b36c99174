// ConvNeXts (Liu 2022, section 2) as torchvision names them: a depthwise 7x7 convolution, a layer norm over channels and a
// perceptron beside a residual, weighted by a learnt number a channel.

import type { Graph, GraphNode } from '../graph.ts';
import { add, conv, gelu, globalAvgPool, layerNorm, layerScale, linear, transpose } from '../layers.ts';
import { byPatterns, type OtherKeys, otherKeys } from './other-keys.ts';

const LAST = [0, 2, 3, 1];
const FIRST = [0, 3, 1, 2];

/** A layer norm over the channels of [N, C, H, W]; `name` is the output, and names the parameters. */
const norm2d = (name: string, input: string, width: number): GraphNode[] => [
  transpose(`${name}/last`, input, LAST),
  { ...layerNorm(name, `${name}/last`, width), name: `${name}/norm` },
  transpose(name, `${name}/norm`, FIRST),
];

function block(name: string, input: string, width: number): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  return [
    conv(part('block.0'), input, { in: width, out: width, kernel: 7, padding: 3, groups: width }),
    transpose(part('block.1'), part('block.0'), LAST),
    layerNorm(part('block.2'), part('block.1'), width),
    linear(part('block.3'), part('block.2'), { in: width, out: 4 * width }),
    gelu(part('block.4'), part('block.3')),
    linear(part('block.5'), part('block.4'), { in: 4 * width, out: width }),
    layerScale(part('scale'), part('block.5'), part('layer_scale'), [width, 1, 1]),
    transpose(part('block.6'), part('scale'), FIRST),
    add(name, input, part('block.6')),
  ];
}

/** `depths` and `widths` of the four stages. */
function convnext(depths: readonly number[], widths: readonly number[], classes: number): Graph {
  const nodes = [
    conv('features.0.0', 'input', { in: 3, out: widths[0]!, kernel: 4, stride: 4 }),
    ...norm2d('features.0.1', 'features.0.0', widths[0]!),
  ];
  for (const [stage, depth] of depths.entries()) {
    const width = widths[stage]!;
    const between = `features.${2 * stage}`;
    if (stage > 0) {
      nodes.push(
        ...norm2d(`${between}.0`, nodes.at(-1)!.name, widths[stage - 1]!),
        conv(`${between}.1`, `${between}.0`, { in: widths[stage - 1]!, out: width, kernel: 2, stride: 2 }),
      );
    }
    for (let i = 0; i < depth; i++)
      nodes.push(...block(`features.${2 * stage + 1}.${i}`, nodes.at(-1)!.name, width));
  }
  nodes.push(
    globalAvgPool('avgpool', nodes.at(-1)!.name),
    layerNorm('classifier.0', 'avgpool', widths.at(-1)!),
    linear('classifier.2', 'classifier.0', { in: widths.at(-1)!, out: classes }),
  );
  return { nodes, output: 'classifier.2' };
}

const small = [96, 192, 384, 768];
export const convnextTiny = (classes = 1000): Graph => convnext([3, 3, 9, 3], small, classes);
export const convnextSmall = (classes = 1000): Graph => convnext([3, 3, 27, 3], small, classes);
export const convnextBase = (classes = 1000): Graph =>
  convnext([3, 3, 27, 3], [128, 256, 512, 1024], classes);

/** Stages and downsamplings by number, where torchvision counts both in one row. */
const staged = (stage: string, blocks: string, downsample: string) =>
  [0, 1, 2, 3].flatMap((i) => [
    [new RegExp(`^features\\.${2 * i + 1}\\.(\\d+)\\.`), `${stage}.${i}.${blocks}.$1.`] as const,
    ...(i > 0 ? [[new RegExp(`^features\\.${2 * i}\\.`), `${stage}.${i}.${downsample}.`] as const] : []),
  ]);

const timmNames = [
  [/^features\.0\./, 'stem.'],
  ...staged('stages', 'blocks', 'downsample'),
  [/\.block\.0\./, '.conv_dw.'],
  [/\.block\.2\./, '.norm.'],
  [/\.block\.3\./, '.mlp.fc1.'],
  [/\.block\.5\./, '.mlp.fc2.'],
  [/\.layer_scale$/, '.gamma'],
  [/^classifier\.0\./, 'head.norm.'],
  [/^classifier\.2\./, 'head.fc.'],
] as const;

const huggingFaceNames = [
  [/^features\.0\.0\./, 'convnext.embeddings.patch_embeddings.'],
  [/^features\.0\.1\./, 'convnext.embeddings.layernorm.'],
  ...staged('convnext.encoder.stages', 'layers', 'downsampling_layer'),
  [/\.block\.0\./, '.dwconv.'],
  [/\.block\.2\./, '.layernorm.'],
  [/\.block\.3\./, '.pwconv1.'],
  [/\.block\.5\./, '.pwconv2.'],
  [/\.layer_scale$/, '.layer_scale_parameter'],
  [/^classifier\.0\./, 'convnext.layernorm.'],
  [/^classifier\.2\./, 'classifier.'],
] as const;

/** Keys of timm and of Hugging Face's transformers. */
export const convnextKeys = (graph: Graph): OtherKeys =>
  new Map([timmNames, huggingFaceNames].flatMap((names) => [...otherKeys(graph, byPatterns(names))]));
