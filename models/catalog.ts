// The networks that Limelight knows by name: those it ships, with their weights; those whose published weights it
// fetches; and architectures for which the user brings a state dict.

import { LimelightError } from '../engine/index.ts';
import { clipKeys, clipReader, clips, clipUnusedKeys } from './architectures/clip.ts';
import {
  answers,
  captionWords,
  digitCaption,
  digitVqa,
  QUESTION_LENGTH,
  questionWords,
} from './architectures/digit-text.ts';
import { emojiReader } from './architectures/emoji-clip.ts';
import { fcamDigits, fcamDigitsClass } from './architectures/fcam.ts';
import { type Architecture, architectures } from './architectures/index.ts';
import { cifarGap, digitDense, digitScenes, digitVit } from './architectures/shipped.ts';
import type { StateDict } from './formats/host-tensor.ts';
import type { Graph } from './graph.ts';
import { imagenetLabels, type Published, published } from './hub/published.ts';
import type { RemoteFile } from './hub/remote-file.ts';
import { nearest } from './near.ts';
import type { NetworkDescription } from './network.ts';
import { presets } from './preprocess.ts';
import { oneHotWords, type TextReader, type Tokenizer, textClasses, wordIndices } from './text.ts';

/** A network known by name: its description, and where its weights are. */
export interface CatalogEntry extends NetworkDescription {
  /** How it takes a text, if it does. */
  readonly text?: TextReader;
  /** Shipped weights. */
  readonly weights?: URL;
  /** Where its weights are published. Without this and without `weights` the user brings them. */
  readonly published?: Published;
  /** Where the names of its classes are, if `classes` only numbers them. */
  readonly labels?: RemoteFile;
  /** Reads state dicts of several publishers, and of other numbers of classes. */
  readonly architecture?: Architecture;
}

/** Names for classes that have none. */
export const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

const cifar = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
const digits = numbered(10);

/** An entry whose graph is made when it is first looked at: there are many, and few are used. */
function entry(graph: () => Graph, rest: Omit<CatalogEntry, 'graph'>): CatalogEntry {
  let made: Graph | undefined;
  return Object.defineProperty({ ...rest } as CatalogEntry, 'graph', {
    enumerable: true,
    get() {
      made ??= graph();
      return made;
    },
  });
}

const captioner: TextReader = {
  is: 'the words of a caption so far: "a three above a"',
  standard: '',
  read(text) {
    // The full stop is before the first word.
    const indices = [0, ...wordIndices(text, captionWords)];
    return { graph: digitCaption(indices.length), words: oneHotWords(indices, captionWords.length) };
  },
};

const shipped: readonly CatalogEntry[] = [
  entry(digitScenes, {
    name: 'digit-scenes',
    summary: 'which digits are in a cluttered scene (several at once); GAP + linear',
    preprocessing: { channels: 1, scale: 255, mean: [0], std: [1] },
    classes: digits,
    probabilities: 'sigmoid',
    targetLayer: 'features',
    weights: new URL('./shipped/digit-scenes.safetensors', import.meta.url),
    decoders: {
      'f-cam': {
        graph: fcamDigits(),
        weights: new URL('./shipped/fcam-digits.safetensors', import.meta.url),
      },
      'f-cam-class': {
        graph: fcamDigitsClass(),
        weights: new URL('./shipped/fcam-digits-class.safetensors', import.meta.url),
      },
    },
  }),
  entry(digitDense, {
    name: 'digit-dense',
    summary: 'one MNIST digit; fully connected layers after the convolutions',
    preprocessing: { channels: 1, size: [28, 28], scale: 255, mean: [0.1307], std: [0.3081] },
    classes: digits,
    probabilities: 'softmax',
    targetLayer: 'features',
    weights: new URL('./shipped/digit-dense.safetensors', import.meta.url),
  }),
  entry(digitVit, {
    name: 'digit-vit',
    summary: 'which digits are in a cluttered scene; a vision transformer of three blocks',
    preprocessing: { channels: 1, size: [64, 64], scale: 255, mean: [0], std: [1] },
    classes: digits,
    probabilities: 'sigmoid',
    targetLayer: 'blocks.2.norm1',
    weights: new URL('./shipped/digit-vit.safetensors', import.meta.url),
  }),
  entry(() => captioner.read(captioner.standard).graph, {
    name: 'digit-caption',
    summary: 'the next word of a caption of a scene',
    preprocessing: { channels: 1, size: [64, 64], scale: 255, mean: [0], std: [1] },
    classes: captionWords,
    probabilities: 'softmax',
    targetLayer: 'features',
    weights: new URL('./shipped/digit-caption.safetensors', import.meta.url),
    text: captioner,
  }),
  entry(digitVqa, {
    name: 'digit-vqa',
    summary: 'the answer to a question about a scene',
    preprocessing: { channels: 1, size: [64, 64], scale: 255, mean: [0], std: [1] },
    classes: answers,
    probabilities: 'softmax',
    targetLayer: 'features',
    weights: new URL('./shipped/digit-vqa.safetensors', import.meta.url),
    text: {
      is: 'a question: "is there a five", "how many digits", "what is above the three"',
      standard: 'how many digits',
      read: (text) => ({
        graph: digitVqa(),
        words: oneHotWords(wordIndices(text, questionWords, QUESTION_LENGTH), questionWords.length),
      }),
    },
  }),
  entry(() => emojiReader.read(emojiReader.standard).graph, {
    name: 'emoji-clip',
    summary: 'how well texts fit a scene of emoji',
    preprocessing: { channels: 3, scale: 255, mean: [0], std: [1] },
    ...textClasses(emojiReader.standard),
    targetLayer: 'features',
    weights: new URL('./shipped/emoji-clip.safetensors', import.meta.url),
    text: emojiReader,
  }),
  entry(cifarGap, {
    name: 'cifar10-gap',
    summary: 'CIFAR-10, any image size; GAP + linear',
    preprocessing: { channels: 3, scale: 255, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
    classes: cifar,
    probabilities: 'softmax',
    targetLayer: 'features',
    weights: new URL('./shipped/cifar10-gap.safetensors', import.meta.url),
  }),
];

/** An entry that has read a text, its standard one when left out; and its state dict, with the words. */
export function withText(
  entry: CatalogEntry,
  tensors: StateDict,
  text: string | undefined,
  tokenizer?: Tokenizer,
): { entry: CatalogEntry; tensors: StateDict } {
  const { text: reader, name } = entry;
  if (reader === undefined) {
    if (text === undefined) return { entry, tensors };
    throw new ModelError(`${name} takes no text`);
  }
  const { words, ...reading } = reader.read(text ?? reader.standard, tokenizer);
  return {
    entry: { ...entry, ...reading },
    tensors: words ? new Map([...tensors, ['words', words]]) : tensors,
  };
}

/** Architectures that do not know ImageNet's classes. */
const others: Readonly<Record<string, Partial<CatalogEntry>>> = {
  nin_cifar10: { summary: 'CIFAR-10', classes: cifar, preprocessing: { ...presets.torch, size: [32, 32] } },
  ...Object.fromEntries(
    [20, 32, 44, 56, 110].map((depth) => [
      `resnet${depth}`,
      {
        summary: `CIFAR-10 ResNet-${depth}, option A shortcuts; as akamaster/pytorch_resnet_cifar10 has it`,
        classes: cifar,
        preprocessing: { ...presets.torch },
      },
    ]),
  ),
};

const imagenetClasses = numbered(1000);

const byArchitecture: readonly CatalogEntry[] = Object.entries(architectures).map(([name, architecture]) => {
  const files = published.get(name);
  return entry(architecture.graph, {
    name,
    summary: files ? `ImageNet, ${files.weights.name.replace('.safetensors', '')} of timm` : 'ImageNet',
    preprocessing: files?.preprocessing ?? presets.imagenet,
    classes: imagenetClasses,
    probabilities: 'softmax',
    targetLayer: architecture.targetLayer,
    architecture,
    ...(files && { published: files }),
    ...(others[name] ?? { labels: imagenetLabels }),
  });
});

const pairs: readonly CatalogEntry[] = Object.entries(clips).map(([name, options]) => {
  const text = clipReader(options);
  const graph = () => text.read(text.standard).graph;
  const { targetLayer, size } = options;
  const files = published.get(name)!;
  return entry(graph, {
    name,
    summary: 'how well texts fit a picture, by OpenAI',
    preprocessing: files.preprocessing,
    ...textClasses(text.standard),
    targetLayer,
    architecture: {
      graph,
      targetLayer,
      inputSize: [size, size],
      otherKeys: clipKeys,
      unusedKeys: clipUnusedKeys,
    },
    published: files,
    text,
  });
});

/** Every network known by name. */
export const catalog: ReadonlyMap<string, CatalogEntry> = new Map(
  [...shipped, ...byArchitecture, ...pairs].map((one) => [one.name, one]),
);

/** No network has that name, or its weights are missing. */
export class ModelError extends LimelightError {}

/**
 * An entry by name.
 *
 * @throws {ModelError} where there is none, with the names that come near.
 */
export function catalogEntry(name: string): CatalogEntry {
  const found = catalog.get(name);
  if (found) return found;
  throw new ModelError(`there is no model "${name}"; ${nearest(name, [...catalog.keys()], 'models')}`);
}
