// VGG (Simonyan 2014, table 1) as torchvision names it: 3x3 convolutions, a pool after each stage, three fully
// connected layers.

import type { Graph, GraphNode } from '../graph.ts';
import { adaptiveAvgPool, batchNorm, conv, dropout, flatten, linear, maxPool, relu } from '../layers.ts';
import { byPatterns, type OtherKeys, otherKeys } from './other-keys.ts';

/** Convolutions of each stage; the columns A, B, D and E of the table. */
const columns = {
  11: [1, 1, 2, 2, 2],
  13: [2, 2, 2, 2, 2],
  16: [2, 2, 3, 3, 3],
  19: [2, 2, 4, 4, 4],
} as const;
const widths = [64, 128, 256, 512, 512] as const;

export type VggDepth = keyof typeof columns;

export interface VggOptions {
  readonly norm?: boolean | undefined;
  readonly classes?: number | undefined;
  /** Width of the two hidden fully connected layers. */
  readonly hidden?: number;
}

/** VGG with `depth` layers of weights. */
export function vgg(depth: VggDepth, options: VggOptions = {}): Graph {
  const { norm = false, classes = 1000, hidden = 4096 } = options;
  const features: GraphNode[] = [];
  let [input, channels] = ['input', 3];
  const push = (make: (name: string, input: string) => GraphNode) => {
    const node = make(`features.${features.length}`, input);
    features.push(node);
    input = node.name;
  };
  for (const [stage, convolutions] of columns[depth].entries()) {
    const out = widths[stage]!;
    for (let i = 0; i < convolutions; i++) {
      const spec = { in: channels, out, kernel: 3, padding: 1 };
      push((name, from) => conv(name, from, spec));
      if (norm) push((name, from) => batchNorm(name, from, out));
      push(relu);
      channels = out;
    }
    push((name, from) => maxPool(name, from, { kernel: 2, stride: 2 }));
  }
  return {
    nodes: [
      ...features,
      adaptiveAvgPool('avgpool', input, 7),
      flatten('flatten', 'avgpool'),
      linear('classifier.0', 'flatten', { in: 512 * 7 * 7, out: hidden }),
      relu('classifier.1', 'classifier.0'),
      dropout('classifier.2', 'classifier.1'),
      linear('classifier.3', 'classifier.2', { in: hidden, out: hidden }),
      relu('classifier.4', 'classifier.3'),
      dropout('classifier.5', 'classifier.4'),
      linear('classifier.6', 'classifier.5', { in: hidden, out: classes }),
    ],
    output: 'classifier.6',
  };
}

/** timm's keys: its fully connected layers are convolutions, which `underOwnKeys` flattens. */
export const vggTimmKeys = (graph: Graph): OtherKeys =>
  otherKeys(
    graph,
    byPatterns([
      [/^classifier\.0\./, 'pre_logits.fc1.'],
      [/^classifier\.3\./, 'pre_logits.fc2.'],
      [/^classifier\.6\./, 'head.fc.'],
    ]),
  );
