// The networks that Limelight trains and ships. Small, plain, and each there to show something.

import type { Graph } from '../graph.ts';
import { add, conv, flatten, globalAvgPool, linear, maxPool, relu } from '../layers.ts';
import { block } from './blocks.ts';
import { vit } from './vit.ts';

/**
 * CIFAR-10, GAP + linear, fully convolutional before it: any image of at least 4 x 4 pixels. Feature map of 1/4 of
 * the input's size, 128 channels.
 */
export function cifarGap(): Graph {
  return {
    nodes: [
      ...block('stem', 'input', [3, 32]),
      maxPool('pool1', 'stem', { kernel: 2, stride: 2 }),
      ...block('stage1', 'pool1', [32, 64]),
      maxPool('pool2', 'stage1', { kernel: 2, stride: 2 }),
      ...block('stage2', 'pool2', [64, 128]),
      ...block('stage3', 'stage2', [128, 128]),
      add('features', 'stage2', 'stage3'),
      globalAvgPool('gap', 'features'),
      linear('classifier', 'gap', { in: 128, out: 10 }),
    ],
    output: 'classifier',
  };
}

/** Which digits are in a 64 x 64 scene: ten independent yes/no logits, GAP + linear. Feature map of 16 x 16. */
export function digitScenes(): Graph {
  return {
    nodes: [
      ...block('stem', 'input', [1, 16], 2),
      ...block('stage1', 'stem', [16, 32]),
      maxPool('pool', 'stage1', { kernel: 2, stride: 2 }),
      ...block('stage2', 'pool', [32, 48]),
      ...block('features', 'stage2', [48, 48]),
      globalAvgPool('gap', 'features'),
      linear('classifier', 'gap', { in: 48, out: 10 }),
    ],
    output: 'classifier',
  };
}

/** One MNIST digit, 28 x 28: fully connected layers after the convolutions, as in LeNet-5; CAM does not apply. */
export function digitDense(): Graph {
  return {
    nodes: [
      conv('conv1', 'input', { in: 1, out: 16, kernel: 3, padding: 1 }),
      relu('relu1', 'conv1'),
      maxPool('pool1', 'relu1', { kernel: 2, stride: 2 }),
      conv('conv2', 'pool1', { in: 16, out: 32, kernel: 3, padding: 1 }),
      relu('features', 'conv2'),
      maxPool('pool2', 'features', { kernel: 2, stride: 2 }),
      flatten('flatten', 'pool2'),
      linear('fc1', 'flatten', { in: 32 * 7 * 7, out: 64 }),
      relu('relu3', 'fc1'),
      linear('fc2', 'relu3', { in: 64, out: 10 }),
    ],
    output: 'fc2',
  };
}

/**
 * Which digits are in a 64 x 64 scene, as a small vision transformer sees it: 8 x 8 patches of 8 x 8 pixels, cut from
 * the feature map of two convolutions, without which it needs many times the pictures to learn from.
 */
export const digitVit = (): Graph =>
  vit({
    image: 64,
    patch: 8,
    width: 48,
    depth: 3,
    heads: 3,
    hidden: 96,
    classes: 10,
    channels: 1,
    stem: {
      nodes: [
        ...block('patch_embed.backbone.0', 'input', [1, 16], 2),
        ...block('patch_embed.backbone.1', 'patch_embed.backbone.0', [16, 32], 2),
      ],
      out: 32,
      stride: 4,
    },
  });
