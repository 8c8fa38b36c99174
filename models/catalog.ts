// The networks that Limelight knows by name: those it ships, with their weights, and architectures for which the user
// brings a state dict.

import { LimelightError } from '../engine/index.ts';
import { resnetCifar } from './architectures/resnet-cifar.ts';
import { cifarGap, digitDense, digitScenes } from './architectures/shipped.ts';
import { squeezenet1_0, squeezenet1_1 } from './architectures/squeezenet.ts';
import type { NetworkDescription } from './network.ts';

export interface CatalogEntry extends NetworkDescription {
  /** Shipped weights; undefined where the user brings them. */
  readonly weights?: URL;
}

const digits = Array.from({ length: 10 }, (_, i) => String(i));
const cifar = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
const numbered = Array.from({ length: 1000 }, (_, i) => String(i));
const imagenetColours = { scale: 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const imagenet = { channels: 3, size: [224, 224], ...imagenetColours } as const;

const entries: readonly CatalogEntry[] = [
  {
    name: 'digit-scenes',
    summary: 'which digits are in a cluttered scene (several at once); GAP + linear',
    graph: digitScenes(),
    preprocessing: { channels: 1, scale: 255, mean: [0], std: [1] },
    classes: digits,
    probabilities: 'sigmoid',
    targetLayer: 'features',
    weights: new URL('./shipped/digit-scenes.safetensors', import.meta.url),
  },
  {
    name: 'digit-dense',
    summary: 'one MNIST digit; fully connected layers after the convolutions',
    graph: digitDense(),
    preprocessing: { channels: 1, size: [28, 28], scale: 255, mean: [0.1307], std: [0.3081] },
    classes: digits,
    probabilities: 'softmax',
    targetLayer: 'features',
    weights: new URL('./shipped/digit-dense.safetensors', import.meta.url),
  },
  {
    name: 'cifar10-gap',
    summary: 'CIFAR-10, any image size; GAP + linear; train it or bring its weights',
    graph: cifarGap(),
    preprocessing: { channels: 3, scale: 255, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
    classes: cifar,
    probabilities: 'softmax',
    targetLayer: 'features',
  },
  {
    name: 'resnet20',
    summary: 'CIFAR-10 ResNet-20, option A shortcuts; bring akamaster/pytorch_resnet_cifar10 weights',
    graph: resnetCifar(3),
    preprocessing: { channels: 3, ...imagenetColours },
    classes: cifar,
    probabilities: 'softmax',
    targetLayer: 'layer3.2',
  },
  {
    name: 'squeezenet1_0',
    summary: 'ImageNet SqueezeNet 1.0; bring torchvision weights',
    graph: squeezenet1_0(),
    preprocessing: imagenet,
    classes: numbered,
    probabilities: 'softmax',
    targetLayer: 'features.12',
  },
  {
    name: 'squeezenet1_1',
    summary: 'ImageNet SqueezeNet 1.1; bring torchvision weights',
    graph: squeezenet1_1(),
    preprocessing: imagenet,
    classes: numbered,
    probabilities: 'softmax',
    targetLayer: 'features.12',
  },
];

export const catalog: ReadonlyMap<string, CatalogEntry> = new Map(
  entries.map((entry) => [entry.name, entry]),
);

/** No network has that name, or its weights are missing. */
export class ModelError extends LimelightError {}

/** An entry by name; throws with the names that there are. */
export function catalogEntry(name: string): CatalogEntry {
  const entry = catalog.get(name);
  if (entry) return entry;
  throw new ModelError(`there is no model "${name}"; the models are ${[...catalog.keys()].join(', ')}`);
}
