// The front door to networks: a name, a URL, a file or its bytes -> a network on a device.

import { publishedBytes } from '#hub';
import { bytes as bytesAt } from '#platform';
import type { Device } from '../engine/index.ts';
import { type CatalogEntry, catalogEntry, ModelError, withText } from './catalog.ts';
import { describeImported } from './describe.ts';
import { isNetwork, type Model, readModel } from './formats/any.ts';
import { FormatError } from './formats/errors.ts';
import type { OpenPart, ReadOptions } from './formats/imported.ts';
import { HubError, type RemoteFile } from './hub/remote-file.ts';
import { readTokenizer } from './hub/tokenizer.ts';
import { classNames } from './labels.ts';
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
  /** How a text becomes tokens, where that is published with the weights; of a name it is fetched when left out. */
  readonly tokenizer?: Tokenizer;
  /** The architecture of weights whose keys do not tell it, by its name in the catalog. */
  readonly architecture?: string;
  /** Files that belong to the model, by the names that it gives them; of a URL they are fetched beside it. */
  readonly parts?: OpenPart;
}

/**
 * Opens a network: ONNX, Keras (.h5, .keras), TensorFlow.js (its model.json), weights of a known architecture (safetensors,
 * PyTorch), or a name of the catalog. The format is found by the bytes. `disposeNetwork` frees it.
 *
 * Weights of a name that are not shipped are fetched, with the names of its classes, and held to their SHA-256: under Node once,
 * into `cacheFolder()`, as `fetchModel` of `limelight/hub` does, which can show the progress and be cancelled; in a browser
 * at each call, into the browser's own cache. Where the names of the classes cannot be had, they are numbers.
 *
 * @example
 * const network = await open(await openDevice(), new Uint8Array(readFileSync('network.onnx')), {
 *   preprocessing: presets.imagenet,
 * });
 *
 * @throws {FormatError} if the file is malformed, or not of a network that can be explained.
 * @throws {ModelError} if there is no network of that name, or its weights are not published.
 * @throws {HubError} if they cannot be had, cannot be kept, or are not what they should be.
 */
export async function open(device: Device, source: ModelSource, options: OpenOptions = {}): Promise<Network> {
  const { entry, name, read } = typeof source === 'string' ? named(source) : fileOf(source, options);
  const { published, labels } = entry ?? {};
  const tokenizer =
    options.tokenizer ??
    (options.text !== undefined && published?.tokenizer
      ? await readTokenizer(textOf(await publishedBytes(published.tokenizer)), published.tokenizer.name)
      : undefined);
  const model = await read();
  const found = isNetwork(model)
    ? { entry: describeImported(name, model), tensors: model.tensors }
    : architectureOf(
        name,
        model,
        entry ?? (options.architecture ? catalogEntry(options.architecture) : undefined),
      );
  const { entry: chosen, tensors } = withText(found.entry, found.tensors, options.text, tokenizer);
  const { preprocessing, classes } = chosen;
  const description = {
    ...(entry ? chosen : withoutDecoders(chosen)),
    preprocessing: { ...preprocessing, ...options.preprocessing },
    classes: options.classes ?? (labels && (await namesIn(labels, classes.length))) ?? classes,
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

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const noParts: OpenPart = async (part) => {
  throw new FormatError(
    `the model has a part "${part}" beside it; give \`parts\`, which opens it by that name`,
  );
};

function named(name: string): Found {
  const entry = catalogEntry(name);
  const { weights, published } = entry;
  const file = weights ? () => bytesAt(weights) : published && (() => publishedBytes(published.weights));
  if (file === undefined) {
    throw new ModelError(
      `the weights of ${name} are not published where they could be fetched; open their file, with ` +
        `{ architecture: '${name}' } if its keys do not tell`,
    );
  }
  return { entry, name, read: async () => readModel(await file(), `${name}.safetensors`, noParts) };
}

/** The names of classes in a published list; undefined where it cannot be had. */
async function namesIn(list: RemoteFile, count: number): Promise<readonly string[] | undefined> {
  try {
    return classNames(textOf(await publishedBytes(list)), count, list.url);
  } catch (error) {
    if (error instanceof HubError) return undefined;
    throw error;
  }
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
