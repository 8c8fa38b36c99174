// The inverted residual of MobileNetV2 (Sandler 2018, table 1) with the squeeze-and-excitation that MobileNetV3 and
// EfficientNet put into it: expand by 1x1, convolve each channel, gate the channels, project by 1x1, add.

import type { GraphNode } from '../graph.ts';
import { type Activation, adaptiveAvgPool, add, conv, mul } from '../layers.ts';
import { type Centred, convNorm } from './blocks.ts';

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
