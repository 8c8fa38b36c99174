// The front door to networks: a name, a URL, a file or its bytes -> a network on a device.

import { bytes as bytesAt } from '#platform';
import type { Device } from '../engine/index.ts';
import { type CatalogEntry, catalogEntry, ModelError, withText } from './catalog.ts';
import { describeImported } from './describe.ts';
import { isNetwork, type Model, readModel } from './formats/any.ts';
import { FormatError } from './formats/errors.ts';
import type { OpenPart, ReadOptions } from './formats/imported.ts';
import { loadNetwork, type Network, withoutDecoders } from './network.ts';
import type { Preprocessing } from './preprocess.ts';
import { architectureOf } from './recognise.ts';
import type { Tokenizer } from './text.ts';

/** A model: a name of the catalog, where its file is, the file, or its bytes. */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer | ModelFile;

/** A file with a name, as browsers' `File` is. */
export interface ModelFile {
  readonly name: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** What a file may leave open. */
export interface OpenOptions extends ReadOptions {
  /** Changes of what the network says about pictures, such as a preset: `{ ...presets.imagenet }`. */
  readonly preprocessing?: Partial<Preprocessing>;
  /** Names of the classes, in order. */
  readonly classes?: readonly string[];
  /** What a network that reads a text is to read: the words of a caption so far, a question, texts to be told apart. */
  readonly text?: string;
  /** How a text becomes tokens, where that is published with the weights: `fetchTokenizer` of `limelight/hub`. */
  readonly tokenizer?: Tokenizer;
  /** The architecture of weights whose keys do not tell it, by its name in the catalog. */
  readonly architecture?: string;
  /** Files that belong to the model, by the names that it gives them; of a URL they are fetched beside it. */
  readonly parts?: OpenPart;
}

/**
 * Opens a network: ONNX, Keras (.h5, .keras), TensorFlow.js (its model.json), weights of a known architecture (safetensors,
 * PyTorch), or a name of the catalog whose weights are shipped. The format is found by the bytes. `disposeNetwork` frees it.
 *
 * @example
 * const network = await open(await openDevice(), new Uint8Array(readFileSync('network.onnx')), {
 *   preprocessing: presets.imagenet,
 * });
 *
 * @throws {FormatError} if the file is malformed, or not of a network that can be explained.
 * @throws {ModelError} if there is no network of that name, or its weights are not shipped.
 */
export async function open(device: Device, source: ModelSource, options: OpenOptions = {}): Promise<Network> {
  const { entry, name, read } = typeof source === 'string' ? named(source) : fileOf(source, options);
  const model = await read();
  const found = isNetwork(model)
    ? { entry: describeImported(name, model), tensors: model.tensors }
    : architectureOf(
        name,
        model,
        entry ?? (options.architecture ? catalogEntry(options.architecture) : undefined),
      );
  const { entry: chosen, tensors } = withText(found.entry, found.tensors, options.text, options.tokenizer);
  const { preprocessing, classes } = chosen;
  const description = {
    ...(entry ? chosen : withoutDecoders(chosen)),
    preprocessing: { ...preprocessing, ...options.preprocessing },
    classes: options.classes ?? classes,
  };
  if (description.classes.length !== classes.length) {
    throw new ModelError(
      `${name} has ${classes.length} classes; ${description.classes.length} names were given for them`,
    );
  }
  return loadNetwork(device, description, tensors);
}

interface Found {
  readonly name: string;
  readonly entry?: CatalogEntry;
  readonly read: () => Promise<Model>;
}

const noParts: OpenPart = async (part) => {
  throw new FormatError(
    `the model has a part "${part}" beside it; give \`parts\`, which opens it by that name`,
  );
};

function named(name: string): Found {
  const entry = catalogEntry(name);
  const { weights } = entry;
  if (weights)
    return {
      entry,
      name,
      read: async () => readModel(await bytesAt(weights), `${name}.safetensors`, noParts),
    };
  throw new ModelError(
    `the weights of ${name} are not shipped; open their file, with { architecture: '${name}' } if its keys do not tell`,
  );
}

function fileOf(source: Exclude<ModelSource, string>, options: OpenOptions): Found {
  const parts = options.parts ?? (source instanceof URL ? besideUrl(source) : noParts);
  if (source instanceof URL) {
    const name = decodeURIComponent(source.pathname.split('/').at(-1)!);
    return { name, read: async () => readModel(await bytesAt(source), name, parts, options) };
  }
  const isBytes = source instanceof Uint8Array || source instanceof ArrayBuffer;
  const name = isBytes ? 'the model' : source.name;
  const bytes = async () => new Uint8Array(isBytes ? source : await source.arrayBuffer());
  return { name, read: async () => readModel(await bytes(), name, parts, options) };
}

/** Opens files in the folder of a URL, and none outside it. */
function besideUrl(url: URL): OpenPart {
  const folder = new URL('.', url);
  return async (part) => {
    const at = new URL(part, folder);
    if (!at.href.startsWith(folder.href))
      throw new FormatError(`the model names a part "${part}" outside its own folder`);
    return bytesAt(at);
  };
}
