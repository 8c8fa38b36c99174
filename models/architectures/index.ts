// Every architecture that has published weights, by the name that their publisher gives it.

import type { Graph } from '../graph.ts';
import { alexnet } from './alexnet.ts';
import { densenet121 } from './densenet.ts';
import { efficientnetB0 } from './efficientnet.ts';
import { googlenet } from './googlenet.ts';
import { mobilenetV2 } from './mobilenet-v2.ts';
import { mobilenetV3Large, mobilenetV3Small } from './mobilenet-v3.ts';
import { ninCifar } from './nin.ts';
import { resnet18, resnet34, resnet50 } from './resnet.ts';
import { shufflenetV2x0_5, shufflenetV2x1_0 } from './shufflenet-v2.ts';
import { squeezenet1_0, squeezenet1_1 } from './squeezenet.ts';
import { vgg } from './vgg.ts';
import { vitBase, vitBaseTorchvision, vitSmall, vitTiny } from './vit.ts';

export interface Architecture {
  /** The graph, for so many classes; as published when left out. */
  readonly graph: (classes?: number) => Graph;
  /** The node that is explained by default: the last feature map; a vision transformer's last tokens but one block. */
  readonly targetLayer: string;
  /** Height and width that the published weights were trained for. */
  readonly inputSize: readonly [height: number, width: number];
}

const imagenet = (graph: Architecture['graph'], targetLayer: string): Architecture => ({
  graph,
  targetLayer,
  inputSize: [224, 224],
});

export const architectures: Readonly<Record<string, Architecture>> = {
  resnet18: imagenet(resnet18, 'layer4.1'),
  resnet34: imagenet(resnet34, 'layer4.2'),
  resnet50: imagenet(resnet50, 'layer4.2'),
  vgg11: imagenet((classes) => vgg(11, { classes }), 'features.19'),
  vgg13: imagenet((classes) => vgg(13, { classes }), 'features.23'),
  vgg16: imagenet((classes) => vgg(16, { classes }), 'features.29'),
  vgg19: imagenet((classes) => vgg(19, { classes }), 'features.35'),
  vgg11_bn: imagenet((classes) => vgg(11, { classes, norm: true }), 'features.27'),
  vgg13_bn: imagenet((classes) => vgg(13, { classes, norm: true }), 'features.33'),
  vgg16_bn: imagenet((classes) => vgg(16, { classes, norm: true }), 'features.42'),
  vgg19_bn: imagenet((classes) => vgg(19, { classes, norm: true }), 'features.51'),
  alexnet: imagenet(alexnet, 'features.11'),
  squeezenet1_0: imagenet(squeezenet1_0, 'features.12'),
  squeezenet1_1: imagenet(squeezenet1_1, 'features.12'),
  mobilenet_v2: imagenet(mobilenetV2, 'features.18'),
  mobilenet_v3_small: imagenet(mobilenetV3Small, 'features.12'),
  mobilenet_v3_large: imagenet(mobilenetV3Large, 'features.16'),
  densenet121: imagenet(densenet121, 'relu'),
  googlenet: imagenet(googlenet, 'inception5b'),
  efficientnet_b0: imagenet(efficientnetB0, 'features.8'),
  shufflenet_v2_x0_5: imagenet(shufflenetV2x0_5, 'conv5'),
  shufflenet_v2_x1_0: imagenet(shufflenetV2x1_0, 'conv5'),
  nin_cifar10: { graph: ninCifar, targetLayer: 'features.stage3.unit2', inputSize: [32, 32] },
  vit_tiny_patch16_224: imagenet(vitTiny, 'blocks.11.norm1'),
  vit_small_patch16_224: imagenet(vitSmall, 'blocks.11.norm1'),
  vit_base_patch16_224: imagenet(vitBase, 'blocks.11.norm1'),
  vit_b_16: imagenet(vitBaseTorchvision, 'blocks.11.norm1'),
};
