// The inverted residual of MobileNetV2 (Sandler 2018, table 1) with the squeeze-and-excitation that MobileNetV3 and
// EfficientNet put into it: expand by 1x1, convolve each channel, gate the channels, project by 1x1, add.

import type { Graph, GraphNode } from '../graph.ts';
import { type Activation, adaptiveAvgPool, add, conv, mul } from '../layers.ts';
import { type Centred, convNorm } from './blocks.ts';
import { type OtherKeys, otherKeys } from './other-keys.ts';

export interface InvertedResidual {
  readonly in: number;
  readonly expanded: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly activation: Activation;
  /** Squeeze-and-excitation (Hu 2018) through so many channels. */
  readonly squeeze?: { readonly channels: number; readonly inner: Activation; readonly gate: Activation };
  readonly epsilon?: number;
}

/** Convolution, batch norm, activation as torchvision's Conv2dNormActivation names them; `name` is the output. */
export const convNormActivation = (
  name: string,
  input: string,
  spec: Centred,
  activation: Activation,
  epsilon?: number,
): GraphNode[] => [
  ...convNorm([`${name}.0`, `${name}.1`], input, spec, epsilon),
  activation(name, `${name}.1`),
];

function squeezeExcitation(
  name: string,
  input: string,
  width: number,
  { channels, inner, gate }: NonNullable<InvertedResidual['squeeze']>,
): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  return [
    adaptiveAvgPool(part('avgpool'), input, 1),
    conv(part('fc1'), part('avgpool'), { in: width, out: channels, kernel: 1 }),
    inner(part('activation'), part('fc1')),
    conv(part('fc2'), part('activation'), { in: channels, out: width, kernel: 1 }),
    gate(part('scale_activation'), part('fc2')),
    mul(name, input, part('scale_activation')),
  ];
}

/**
 * torchvision numbers the parts within `name`.`sequence`; where that is "conv" (MobileNetV2), the projection's
 * convolution and norm count as two parts.
 */
export function invertedResidual(
  name: string,
  input: string,
  row: InvertedResidual,
  sequence: 'conv' | 'block',
): GraphNode[] {
  const { in: from, expanded, out, kernel, stride, activation, squeeze, epsilon } = row;
  const nodes: GraphNode[] = [];
  let [index, at] = [0, input];
  const push = (make: (part: string) => GraphNode[]) => {
    nodes.push(...make(`${name}.${sequence}.${index++}`));
    at = nodes.at(-1)!.name;
  };
  const expand = { in: from, out: expanded, kernel: 1 };
  const depthwise = { in: expanded, out: expanded, kernel, stride, groups: expanded };
  if (expanded !== from) push((part) => convNormActivation(part, at, expand, activation, epsilon));
  push((part) => convNormActivation(part, at, depthwise, activation, epsilon));
  if (squeeze !== undefined) push((part) => squeezeExcitation(part, at, expanded, squeeze));
  const last = `${name}.${sequence}.${index}`;
  const names =
    sequence === 'conv'
      ? ([last, `${name}.conv.${index + 1}`] as const)
      : ([`${last}.0`, `${last}.1`] as const);
  const project = convNorm(names, at, { in: expanded, out, kernel: 1 }, epsilon);
  nodes.push(...project);
  if (stride === 1 && from === out) nodes.push(add(name, input, names[1]));
  return nodes;
}

/**
 * timm's keys of a network of inverted residuals, of which the first alone does not expand: `layers` of each stage, and
 * what it calls the layers behind them. Layers come in the same order there and here.
 */
export function timmKeys(graph: Graph, layers: readonly number[], head: readonly string[]): OtherKeys {
  const ours = graph.nodes.filter((node) => Object.keys(node.parameters).length > 0).map(({ name }) => name);
  const names = ['conv_stem', 'bn1'];
  for (const [stage, count] of layers.entries()) {
    for (let i = 0; i < count; i++) {
      const [before, after] =
        stage === 0
          ? [
              ['conv_dw', 'bn1'],
              ['conv_pw', 'bn2'],
            ]
          : [
              ['conv_pw', 'bn1', 'conv_dw', 'bn2'],
              ['conv_pwl', 'bn3'],
            ];
      const gated = ours[names.length + before.length]!.endsWith('.fc1');
      const parts = [...before, ...(gated ? ['se.conv_reduce', 'se.conv_expand'] : []), ...after];
      names.push(...parts.map((part) => `blocks.${stage}.${i}.${part}`));
    }
  }
  names.push(...head);
  const theirs = new Map(ours.map((name, i) => [name, names[i]!]));
  return otherKeys(graph, (key) => {
    const dot = key.lastIndexOf('.');
    return theirs.get(key.slice(0, dot)) + key.slice(dot);
  });
}
