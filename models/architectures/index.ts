// Every architecture that has published weights, by the name that their publisher gives it.

import type { StateDict } from '../formats/host-tensor.ts';
import type { Graph } from '../graph.ts';
import { alexnet } from './alexnet.ts';
import { withLinearProjections } from './clip.ts';
import * as convnexts from './convnext.ts';
import * as densenets from './densenet.ts';
import { efficientnetB0, efficientnetB0TimmKeys } from './efficientnet.ts';
import { googlenet, googlenetUnusedKeys } from './googlenet.ts';
import { mobilenetV2, mobilenetV2TimmKeys } from './mobilenet-v2.ts';
import {
  mobilenetV3Large,
  mobilenetV3LargeTimmKeys,
  mobilenetV3Small,
  mobilenetV3SmallTimmKeys,
} from './mobilenet-v3.ts';
import { ninCifar } from './nin.ts';
import { type OtherKeys, underOwnKeys, unwrapped, withOwnHead, withPackedAttention } from './other-keys.ts';
import * as resnets from './resnet.ts';
import { resnetCifar } from './resnet-cifar.ts';
import { shufflenetV2x0_5, shufflenetV2x1_0 } from './shufflenet-v2.ts';
import { squeezenet1_0, squeezenet1_1 } from './squeezenet.ts';
import { type VggDepth, vgg, vggTimmKeys } from './vgg.ts';
import * as vits from './vit.ts';

/** A family of networks with published weights: its graph, and how its parameters are named by those who publish it. */
export interface Architecture {
  /** The graph, for so many classes; as published when left out. */
  readonly graph: (classes?: number) => Graph;
  /** The node that is explained by default: the last feature map, or what a transformer's last attention sees. */
  readonly targetLayer: string;
  /** Height and width that the published weights were trained for. */
  readonly inputSize: readonly [height: number, width: number];
  /** Other keys under which the parameters are published; `adaptTensors` renames them. */
  readonly otherKeys?: (graph: Graph) => OtherKeys;
  /** Keys that published state dicts have and the graph does without. */
  readonly unusedKeys?: RegExp;
}

/**
 * A published state dict as `loadNetwork` takes it for an architecture's graph, without the prefixes of what it was
 * saved inside.
 *
 * @throws {FormatError} if two tensors stand for the same parameter.
 */
export function adaptTensors(architecture: Architecture, graph: Graph, tensors: StateDict): StateDict {
  const { otherKeys, unusedKeys } = architecture;
  const alike = withLinearProjections(withPackedAttention(unwrapped(tensors)));
  const used = [...alike].filter(([key]) => !unusedKeys?.test(key));
  const other = otherKeys?.(graph) ?? new Map();
  return underOwnKeys(graph, withOwnHead(graph, new Map(used), other), other);
}

const imagenet = (
  graph: Architecture['graph'],
  targetLayer: string,
  otherKeys?: Architecture['otherKeys'],
): Architecture => ({ graph, targetLayer, inputSize: [224, 224], ...(otherKeys && { otherKeys }) });

const vggs = (depth: VggDepth, norm: boolean, targetLayer: string): Architecture =>
  imagenet((classes) => vgg(depth, { classes, norm }), targetLayer, vggTimmKeys);

const cifarResnet = (blocks: number): Architecture => ({
  graph: (classes) => resnetCifar(blocks, classes),
  targetLayer: `layer3.${blocks - 1}`,
  inputSize: [32, 32],
});

/** Every architecture by the name that torchvision or timm gives it. */
export const architectures: Readonly<Record<string, Architecture>> = {
  resnet18: imagenet(resnets.resnet18, 'layer4.1', resnets.resnetHuggingFaceKeys),
  resnet34: imagenet(resnets.resnet34, 'layer4.2', resnets.resnetHuggingFaceKeys),
  resnet50: imagenet(resnets.resnet50, 'layer4.2', resnets.resnetHuggingFaceKeys),
  resnet101: imagenet(resnets.resnet101, 'layer4.2', resnets.resnetHuggingFaceKeys),
  resnet152: imagenet(resnets.resnet152, 'layer4.2', resnets.resnetHuggingFaceKeys),
  resnext50_32x4d: imagenet(resnets.resnext50, 'layer4.2'),
  resnext101_32x8d: imagenet(resnets.resnext101, 'layer4.2'),
  wide_resnet50_2: imagenet(resnets.wideResnet50, 'layer4.2'),
  wide_resnet101_2: imagenet(resnets.wideResnet101, 'layer4.2'),
  vgg11: vggs(11, false, 'features.19'),
  vgg13: vggs(13, false, 'features.23'),
  vgg16: vggs(16, false, 'features.29'),
  vgg19: vggs(19, false, 'features.35'),
  vgg11_bn: vggs(11, true, 'features.27'),
  vgg13_bn: vggs(13, true, 'features.33'),
  vgg16_bn: vggs(16, true, 'features.42'),
  vgg19_bn: vggs(19, true, 'features.51'),
  alexnet: imagenet(alexnet, 'features.11'),
  squeezenet1_0: imagenet(squeezenet1_0, 'features.12'),
  squeezenet1_1: imagenet(squeezenet1_1, 'features.12'),
  mobilenet_v2: imagenet(mobilenetV2, 'features.18'),
  mobilenet_v3_small: imagenet(mobilenetV3Small, 'features.12'),
  mobilenet_v3_large: imagenet(mobilenetV3Large, 'features.16'),
  mobilenetv2_100: imagenet(mobilenetV2, 'features.18', mobilenetV2TimmKeys),
  // timm's, whose batch norms have another epsilon than torchvision's.
  mobilenetv3_small_100: imagenet(
    (classes) => mobilenetV3Small(classes, 1e-5),
    'features.12',
    mobilenetV3SmallTimmKeys,
  ),
  mobilenetv3_large_100: imagenet(
    (classes) => mobilenetV3Large(classes, 1e-5),
    'features.16',
    mobilenetV3LargeTimmKeys,
  ),
  densenet121: imagenet(densenets.densenet121, 'relu', densenets.densenetFirstKeys),
  densenet161: imagenet(densenets.densenet161, 'relu', densenets.densenetFirstKeys),
  densenet169: imagenet(densenets.densenet169, 'relu', densenets.densenetFirstKeys),
  densenet201: imagenet(densenets.densenet201, 'relu', densenets.densenetFirstKeys),
  googlenet: { ...imagenet(googlenet, 'inception5b'), unusedKeys: googlenetUnusedKeys },
  efficientnet_b0: imagenet(efficientnetB0, 'features.8', efficientnetB0TimmKeys),
  shufflenet_v2_x0_5: imagenet(shufflenetV2x0_5, 'conv5'),
  shufflenet_v2_x1_0: imagenet(shufflenetV2x1_0, 'conv5'),
  nin_cifar10: { graph: ninCifar, targetLayer: 'features.stage3.unit2', inputSize: [32, 32] },
  ...Object.fromEntries([3, 5, 7, 9, 18].map((blocks) => [`resnet${6 * blocks + 2}`, cifarResnet(blocks)])),
  vit_tiny_patch16_224: imagenet(vits.vitTiny, 'blocks.11.norm1', vits.vitHuggingFaceKeys),
  vit_small_patch16_224: imagenet(vits.vitSmall, 'blocks.11.norm1', vits.vitHuggingFaceKeys),
  vit_base_patch16_224: imagenet(vits.vitBase, 'blocks.11.norm1', vits.vitHuggingFaceKeys),
  deit_tiny_distilled_patch16_224: imagenet(vits.deitTiny, 'blocks.11.norm1', vits.deitHuggingFaceKeys),
  deit_small_distilled_patch16_224: imagenet(vits.deitSmall, 'blocks.11.norm1', vits.deitHuggingFaceKeys),
  deit_base_distilled_patch16_224: imagenet(vits.deitBase, 'blocks.11.norm1', vits.deitHuggingFaceKeys),
  convnext_tiny: imagenet(convnexts.convnextTiny, 'features.7.2', convnexts.convnextKeys),
  convnext_small: imagenet(convnexts.convnextSmall, 'features.7.2', convnexts.convnextKeys),
  convnext_base: imagenet(convnexts.convnextBase, 'features.7.2', convnexts.convnextKeys),
  vit_b_16: imagenet(vits.vitBase, 'blocks.11.norm1', vits.vitTorchvisionKeys),
  vit_b_32: imagenet(vits.vitBase32, 'blocks.11.norm1', vits.vitTorchvisionKeys),
  vit_l_16: imagenet(vits.vitLarge, 'blocks.23.norm1', vits.vitTorchvisionKeys),
  vit_l_32: imagenet(vits.vitLarge32, 'blocks.23.norm1', vits.vitTorchvisionKeys),
};
