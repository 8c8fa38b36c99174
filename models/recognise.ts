// Which network of the catalog a state dict belongs to, by its keys and shapes.

import { withChannels } from './architectures/blocks.ts';
import { memberOf } from './architectures/families.ts';
import { adaptTensors } from './architectures/index.ts';
import { unwrapped } from './architectures/other-keys.ts';
import { type CatalogEntry, catalog, ModelError, numbered } from './catalog.ts';
import type { Weights } from './formats/any.ts';
import type { StateDict } from './formats/host-tensor.ts';
import type { Graph } from './graph.ts';
import { imagenetLabels } from './hub/published.ts';
import { isCounter } from './network.ts';
import { type Preprocessing, presets } from './preprocess.ts';

/** An entry made to fit a state dict, and the state dict under the entry's keys. */
export interface Fitted {
  readonly entry: CatalogEntry;
  readonly tensors: StateDict;
}

/**
 * Keys of other publishers become the entry's own, and the graph gets as many classes as the last weight has rows, and as
 * many channels of input as the first has, so that networks trained further load. What does not fit otherwise is left for
 * `loadNetwork` to refuse.
 */
export function fitted(entry: CatalogEntry, tensors: StateDict): Fitted {
  const { architecture } = entry;
  if (architecture === undefined) return { entry, tensors };
  const adapted = adaptTensors(architecture, entry.graph, tensors);
  // What the classes are the text says, not the weights.
  if (entry.text) return { entry, tensors: adapted };
  const { preprocessing } = entry;
  const channels = sizeOf(entry.graph, adapted, 'find', 1) ?? preprocessing.channels;
  const classes = sizeOf(entry.graph, adapted, 'findLast', 0) ?? entry.classes.length;
  if (classes === entry.classes.length && channels === preprocessing.channels)
    return { entry, tensors: adapted };
  const graph = withChannels(architecture.graph(classes), channels);
  const { labels, ...rest } = entry;
  return {
    entry: {
      ...rest,
      graph,
      preprocessing:
        channels === preprocessing.channels ? preprocessing : forChannels(preprocessing, channels),
      ...(classes === entry.classes.length ? labels && { labels } : { classes: numbered(classes) }),
    },
    tensors: adaptTensors(architecture, graph, tensors),
  };
}

/** A side of the weight of the first or the last layer that has one. */
function sizeOf(
  graph: Graph,
  tensors: StateDict,
  which: 'find' | 'findLast',
  axis: number,
): number | undefined {
  const layer = graph.nodes[which](({ traits }) => traits.weighted);
  const size = tensors.get(layer?.parameters.weight?.key ?? '')?.shape[axis];
  return size !== undefined && size > 0 ? size : undefined;
}

/** Colours' mean and deviation for other channels: their averages, as timm has it for grey pictures. */
function forChannels({ mean, std, order: _, ...rest }: Preprocessing, channels: number): Preprocessing {
  const average = (values: readonly number[]) => [
    values.reduce((sum, value) => sum + value, 0) / values.length,
  ];
  return { ...rest, channels, mean: average(mean), std: average(std) };
}

/**
 * The entry that a state dict fits, keys and shapes; of several the first of those that need the fewest keys renamed.
 * Networks that read texts are to be named: of CLIP there are some whose activation is another, which no key tells.
 */
export function recognise(entries: Iterable<CatalogEntry>, tensors: StateDict): Fitted | undefined {
  const silent = [...entries].filter(({ text }) => text === undefined);
  const fits = silent.map((entry) => fitted(entry, tensors)).filter(isWhole);
  const given = unwrapped(tensors);
  const kept = fits.map((fit) => [...fit.tensors.keys()].filter((key) => given.has(key)).length);
  return fits[kept.indexOf(Math.max(...kept))];
}

function isWhole({ entry: { graph }, tensors }: Fitted): boolean {
  const expected = graph.nodes.flatMap((node) => Object.values(node.parameters));
  const found = [...tensors.keys()].filter((key) => !isCounter(key));
  if (found.length !== new Set(expected.map(({ key }) => key)).size) return false;
  return expected.every(({ key, shape }) => tensors.get(key)?.shape.join() === shape.join());
}

/** The network of a family that is published in many sizes, made to fit a state dict; undefined where it does not. */
function fittedMember(tensors: StateDict): Fitted | undefined {
  const member = memberOf(tensors);
  if (member === undefined) return undefined;
  const { name, summary, architecture, outputs, isEmbedding, colours } = member;
  const half = { scale: 255, mean: [0.5], std: [0.5] };
  const fit = fitted(
    {
      name,
      summary,
      architecture,
      graph: architecture.graph(),
      preprocessing: {
        channels: 3,
        size: architecture.inputSize,
        interpolation: 'bicubic',
        ...(colours === 'half' ? half : presets.torch),
      },
      classes: numbered(outputs),
      probabilities: isEmbedding ? 'none' : 'softmax',
      targetLayer: architecture.targetLayer,
      ...(!isEmbedding && { labels: imagenetLabels }),
    },
    tensors,
  );
  return isWhole(fit) ? fit : undefined;
}

/** Networks that look like known ones by most of their keys and are not, by keys of theirs alone. */
const others: readonly (readonly [key: RegExp, what: string])[] = [
  [/(^|\.)(cpb_mlp|continuous_position_bias_mlp)\./, 'Swin Transformer V2'],
  [/(^|\.)mlp\.(w12|w3|fc1_g|fc1_x|weights_in)\./, 'a transformer with SwiGLU in its blocks'],
  [/^(module\.)?(model\.)?model\.\d+\.(conv|cv1|m)\./, 'a YOLO detector'],
];

/**
 * The architecture of weights: the one given, the one that the file names, or the one that they fit.
 *
 * @throws {ModelError} where none fits.
 */
export function architectureOf(name: string, { tensors, metadata }: Weights, given?: CatalogEntry): Fitted {
  const named = given ?? catalog.get(metadata?.get('network') ?? '');
  const found = named
    ? fitted(named, tensors)
    : (recognise(catalog.values(), tensors) ?? fittedMember(tensors));
  if (found !== undefined) return found;
  const other = others.find(([key]) => [...tensors.keys()].some((one) => key.test(one)));
  throw new ModelError(
    `${name}: the keys and shapes are those of no known architecture; ` +
      (other
        ? `they look like ${other[1]}, which is read from ONNX alone: export the network to it`
        : 'naming one (--architecture NAME, or the option architecture) tells what differs'),
  );
}
