// AlexNet in the one-column form of Krizhevsky 2014 (One weird trick), as torchvision names it.

import type { Graph } from '../graph.ts';
import { adaptiveAvgPool, conv, dropout, flatten, linear, maxPool, relu } from '../layers.ts';

/** `hidden` is the width of the two hidden fully connected layers. */
export function alexnet(classes = 1000, hidden = 4096): Graph {
  const pool = { kernel: 3, stride: 2 };
  return {
    nodes: [
      conv('features.0', 'input', { in: 3, out: 64, kernel: 11, stride: 4, padding: 2 }),
      relu('features.1', 'features.0'),
      maxPool('features.2', 'features.1', pool),
      conv('features.3', 'features.2', { in: 64, out: 192, kernel: 5, padding: 2 }),
      relu('features.4', 'features.3'),
      maxPool('features.5', 'features.4', pool),
      conv('features.6', 'features.5', { in: 192, out: 384, kernel: 3, padding: 1 }),
      relu('features.7', 'features.6'),
      conv('features.8', 'features.7', { in: 384, out: 256, kernel: 3, padding: 1 }),
      relu('features.9', 'features.8'),
      conv('features.10', 'features.9', { in: 256, out: 256, kernel: 3, padding: 1 }),
      relu('features.11', 'features.10'),
      maxPool('features.12', 'features.11', pool),
      adaptiveAvgPool('avgpool', 'features.12', 6),
      flatten('flatten', 'avgpool'),
      dropout('classifier.0', 'flatten'),
      linear('classifier.1', 'classifier.0', { in: 256 * 6 * 6, out: hidden }),
      relu('classifier.2', 'classifier.1'),
      dropout('classifier.3', 'classifier.2'),
      linear('classifier.4', 'classifier.3', { in: hidden, out: hidden }),
      relu('classifier.5', 'classifier.4'),
      linear('classifier.6', 'classifier.5', { in: hidden, out: classes }),
    ],
    output: 'classifier.6',
  };
}
