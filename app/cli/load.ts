// From what the command line names to what the library takes: models with their weights, pictures, methods.

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bytes } from '#platform';
import { decoderRefusal } from '../../cam/decoders.ts';
import { camRefusal, defaultMethodsOf, LayerError, MethodError, methodOf } from '../../cam/index.ts';
import { type Device, LimelightError } from '../../engine/index.ts';
import { type CatalogEntry, catalog, catalogEntry, withText } from '../../models/catalog.ts';
import { describeImported } from '../../models/describe.ts';
import { type DryRun, dryRun } from '../../models/dry-run.ts';
import { isNetwork, type Weights } from '../../models/formats/any.ts';
import type { StateDict } from '../../models/formats/host-tensor.ts';
import type { ImportedNetwork, ReadOptions } from '../../models/formats/imported.ts';
import { readSafetensors } from '../../models/formats/safetensors.ts';
import { imagenetLabels } from '../../models/hub/published.ts';
import { HubError, type RemoteFile } from '../../models/hub/remote-file.ts';
import { readTokenizer } from '../../models/hub/tokenizer.ts';
import { classNames } from '../../models/labels.ts';
import {
  assertFits,
  loadNetwork,
  type Network,
  type NetworkDescription,
  withoutDecoders,
} from '../../models/network.ts';
import { checkPreprocessing, type Preprocessing, presets, takesPictures } from '../../models/preprocess.ts';
import { architectureOf, fitted } from '../../models/recognise.ts';
import { asUsage, UsageError } from './errors.ts';
import { looksLikeFile, readModelFile } from './model-file.ts';
import { folderLabels, folderPreprocessing, textOf } from './model-folder.ts';
import type { ModelArguments } from './options.ts';
import { fetchFile, note } from './progress.ts';

/** A model as the command line names it. */
export interface ModelChoice {
  readonly description: NetworkDescription;
  /** Height and width to show it for; a network that takes any size is shown for an example. */
  readonly exampleSize: readonly [height: number, width: number];
  /** Height and width for which it is made, whatever the command line asks for. */
  readonly knownSize: readonly [height: number, width: number];
  /** Where nothing says how pictures become its input, but it looks like one of ImageNet's: the usual ways, by preset. */
  readonly guesses?: ReadonlyMap<string, Preprocessing>;
  /** Its weights, fetched first where they are published; undefined where the user must bring them. */
  readonly tensors: (() => Promise<StateDict>) | undefined;
}

/** A model before the command line's options change its preprocessing and its class names. */
interface Found extends Omit<ModelChoice, 'exampleSize' | 'knownSize' | 'guesses'> {
  readonly exampleSize?: ModelChoice['exampleSize'];
  /** The folder of its file, where more may be said of it. */
  readonly folder?: string;
  /** Where the names of its classes can be fetched. */
  readonly labels?: RemoteFile;
  /** Set where the graph in a file was made for one size. */
  readonly fixedSize?: boolean;
  /** Set where nothing says how pixels become its input, and a guess stands in. */
  readonly guessed?: boolean;
}

/** What a network that takes any size is shown for. */
const EXAMPLE_SIZE = [64, 64] as const;

/**
 * Finds the network of `--model`: NAME, NAME=WEIGHTS, or a file. Class names are fetched only where the network is
 * `run`, not where it is only looked at.
 */
export async function chooseModel(asked: ModelArguments, run: boolean): Promise<ModelChoice> {
  const found = await findModel(asked);
  const { preprocessing, guesses } = await preprocessingOf(found, asked);
  const classes = await classesOf(found, asked.labels, run);
  return {
    description: {
      ...found.description,
      preprocessing,
      classes,
      ...(asked.probabilities && { probabilities: asked.probabilities }),
    },
    exampleSize: preprocessing.size ?? found.exampleSize ?? EXAMPLE_SIZE,
    knownSize: found.exampleSize ?? found.description.preprocessing.size ?? EXAMPLE_SIZE,
    tensors: found.tensors,
    ...(guesses && { guesses }),
  };
}

async function findModel({ model, architecture, size, crop, output, text }: ModelArguments): Promise<Found> {
  const given = architecture === undefined ? undefined : asUsage(() => catalogEntry(architecture));
  const options: ReadOptions = { size: size ?? (crop && [crop[1], crop[1]]), output };
  if (catalog.has(model)) {
    if (given !== undefined)
      throw new UsageError(`--architecture is for a file of weights, not for the model ${model}`);
    if (output !== undefined)
      throw new UsageError(`--output is for files that hold their graph; ${model} has one output`);
    return named(catalogEntry(model), text);
  }
  if (existsSync(model) || (looksLikeFile(model) && !model.includes('=')))
    return fromFile(model, given, options, text);
  const [name, ...rest] = model.split('=') as [string, ...string[]];
  const path = rest.join('=');
  const entry = asUsage(() => catalogEntry(name));
  if (path === '') throw new UsageError(`--model ${model}: the name of a file of weights is missing`);
  return fromFile(path, entry, options, text);
}

/** A network by its name, with shipped or published weights, or none. */
async function named(entry: CatalogEntry, text: string | undefined): Promise<Found> {
  const { weights, published, labels } = entry;
  const { entry: description, tensors: words } = await reading(entry, new Map(), text);
  if (weights) {
    return { description, tensors: async () => new Map([...(await readTensors(weights)), ...words]) };
  }
  if (!published) return { description, tensors: undefined };
  const tensors = async () =>
    fitted(entry, await readTensors(pathToFileURL(await fetchFile(published.weights)))).tensors;
  return { description, tensors, ...(labels && { labels }) };
}

/** A network that has read a text, whose vocabulary is fetched where it has one. */
async function reading(entry: CatalogEntry, tensors: StateDict, text: string | undefined) {
  const vocabulary = text === undefined ? undefined : entry.published?.tokenizer;
  const path = vocabulary && (await fetchFile(vocabulary));
  const tokenizer = path === undefined ? undefined : await readTokenizer(await textOf(path), path);
  return asUsage(() => withText(entry, tensors, text, tokenizer));
}

const readTensors = async (url: URL): Promise<StateDict> =>
  readSafetensors(await bytes(url), basename(url.pathname)).tensors;

async function fromFile(
  path: string,
  architecture: CatalogEntry | undefined,
  options: ReadOptions,
  text: string | undefined,
): Promise<Found> {
  const named = basename(path) === 'model.json' ? dirname(resolve(path)) : resolve(path);
  const isFolder = statSync(named, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const folder = isFolder ? named : dirname(named);
  const model = await readModelFile(path, options);
  if (!isNetwork(model)) {
    if (options.output !== undefined)
      throw new UsageError(`--output is for files that hold their graph; ${path} holds weights alone`);
    return { ...(await fromWeights(path, model, architecture, text)), folder };
  }
  if (text !== undefined) throw new UsageError(`--text is for models that read one; ${path} reads none`);
  if (architecture === undefined) return { ...fromGraph(basename(named), model), folder };
  throw new UsageError(`--architecture is for a file of weights; ${path} holds its own`);
}

async function fromWeights(
  path: string,
  weights: Weights,
  given: CatalogEntry | undefined,
  text: string | undefined,
): Promise<Found> {
  const found = asUsage(() => architectureOf(path, weights, given));
  const { entry, tensors } = await reading(found.entry, found.tensors, text);
  try {
    assertFits(entry, tensors);
  } catch (cause) {
    if (!(cause instanceof LimelightError)) throw cause;
    throw new LimelightError(`${path}: ${cause.message}`, { cause });
  }
  return { description: withoutDecoders(entry), tensors: async () => tensors };
}

/** A network whose file holds its graph. */
function fromGraph(name: string, imported: ImportedNetwork): Found {
  const [, , height, width] = imported.inputShape as [number, number, number, number];
  if (imported.remark) note(`${name}: ${imported.remark}`);
  const description = describeImported(name, imported);
  if (description.segmentation) {
    const { classes, preprocessing } = description;
    note(
      `${name}: it scores ${classes.length === 1 ? 'one class' : `${classes.length} classes`} at each place of the ` +
        `${preprocessing.signal ? 'signal' : 'picture'}; explained is the sum of a class's scores where it is the most probable one`,
    );
  }
  return {
    description,
    exampleSize: [height, width],
    tensors: async () => imported.tensors,
    fixedSize: !imported.anySize,
    guessed: imported.preprocessing?.scale === undefined,
  };
}

/** What a model or a file in its folder says of its preprocessing, changed by the preset and by the single options. */
async function preprocessingOf(
  found: Found,
  asked: ModelArguments,
): Promise<Pick<ModelChoice, 'guesses'> & { preprocessing: Preprocessing }> {
  const { name, preprocessing: ofModel } = found.description;
  const { preset, size, crop, resize, interpolation, mean, std, scale, channels } = asked;
  const order = channels === 'bgr' ? ({ order: 'bgr' } as const) : {};
  // A network that scales pixels itself knows better than other files in its folder.
  const isOpen = found.folder !== undefined && found.guessed !== false && !preset;
  const inFolder = isOpen
    ? await folderPreprocessing(found.folder, ofModel, found.fixedSize ?? false)
    : undefined;
  const before: Preprocessing = {
    ...ofModel,
    ...inFolder,
    ...(preset && presetFor(found, preset)),
    ...(size && { size, resize: undefined }),
    ...(crop && { size: [crop[1], crop[1]], resize: crop[0] }),
  };
  const preprocessing: Preprocessing = {
    ...before,
    ...(resize && { resize: { cover: undefined, stretch: before.size, pad: 'pad' as const }[resize] }),
    ...(interpolation && { interpolation }),
    ...(mean && { mean }),
    ...(std && { std }),
    ...(scale !== undefined && { scale }),
    ...(channels && { channels: channels === 'grey' ? 1 : 3, order: undefined, ...order }),
  };
  if (size && crop)
    throw new UsageError('--size and --crop both give the size of the input; give one of them');
  if (resize && crop)
    throw new UsageError('--resize and --crop both say how pictures are scaled; give one of them');
  if (resize && !before.size)
    throw new UsageError(`--resize ${resize} needs a size to scale to: give --size`);
  if (preprocessing.channels !== ofModel.channels) {
    const takes = { 1: 'a grey picture', 3: 'three channels, rgb or bgr' }[ofModel.channels];
    throw new UsageError(`${name} takes ${takes ?? `${ofModel.channels} channels, as an .npy file`}`);
  }
  if (found.fixedSize && preprocessing.size?.join() !== ofModel.size?.join()) {
    throw new UsageError(`${name} takes pictures of ${ofModel.size!.join(' x ')} only`);
  }
  asUsage(() => checkPreprocessing(preprocessing));
  const hasPositions = found.description.graph.nodes.some(({ traits }) => traits.positionsOf);
  if (hasPositions && ofModel.size && preprocessing.size?.join() !== ofModel.size.join()) {
    const [made, asked] = [ofModel.size, preprocessing.size ?? ['any', 'any']].map((one) => one.join(' x '));
    note(
      `${name} learnt positions for pictures of ${made}; for ${asked} they are resampled, as timm does it`,
    );
  }
  const isSaid = inFolder || preset || mean || std || scale !== undefined;
  const isGuess = found.guessed && !isSaid && takesPictures(ofModel);
  if (!isGuess) return { preprocessing };
  note(
    `${name} does not say how pixels become its input; taken for now: value / 255. ` +
      'Say it with --preset, or with --scale, --mean and --std',
  );
  if (ofModel.channels !== 3 || found.description.classes.length !== IMAGENET_CLASSES)
    return { preprocessing };
  const labels = asked.labels === undefined ? ' --labels imagenet' : '';
  note(`it has as many classes as ImageNet; most likely is --preset imagenet${labels}`);
  const guesses = USUAL.map((one) => [one, { ...preprocessing, ...presetFor(found, one) }] as const);
  return { preprocessing, guesses: new Map(guesses) };
}

const IMAGENET_CLASSES = 1000;
/** The presets under which networks of ImageNet were trained, the most frequent first. */
const USUAL = ['imagenet', 'tf', 'caffe', 'unit', 'raw'] as const;

/** A preset as a network takes it: of one that was made for one size, a preset says the colours alone. */
function presetFor({ fixedSize, description }: Found, name: keyof typeof presets): Partial<Preprocessing> {
  const preset: Partial<Preprocessing> = presets[name];
  const { size } = description.preprocessing;
  if (!fixedSize || preset.size?.join() === size?.join()) return preset;
  const { size: _, resize: __, ...colours } = preset;
  return colours;
}

async function classesOf(found: Found, asked: string | undefined, run: boolean): Promise<readonly string[]> {
  const { classes } = found.description;
  const fromFile = async (path: string) => classNames(await textOf(path), classes.length, path);
  const isFile = asked !== undefined && (asked !== 'imagenet' || existsSync(asked));
  if (isFile) return fromFile(asked);
  if (asked !== undefined) return fromFile(await fetchFile(imagenetLabels));
  if (!run) return classes;
  if (found.folder !== undefined && isNumbered(classes)) {
    const names = await folderLabels(found.folder, classes.length);
    if (names) return names;
  }
  if (found.labels === undefined) return classes;
  try {
    return await fromFile(await fetchFile(found.labels));
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    note(`the classes have numbers instead of names: ${error.message}`);
    return classes;
  }
}

const isNumbered = (classes: readonly string[]): boolean => classes.every((name, i) => name === String(i));

/** Reads the weights of a chosen model onto a device. */
export async function openModel(device: Device, choice: ModelChoice): Promise<Network> {
  return loadNetwork(device, choice.description, await weightsOf(choice)());
}

/** How to get a model's weights; bad usage if the user must bring them and did not. */
export function weightsOf({ description: { name }, tensors }: ModelChoice): () => Promise<StateDict> {
  if (tensors) return tensors;
  throw new UsageError(
    `the weights of ${name} are neither shipped nor fetched; give them with ${name}=WEIGHTS.safetensors`,
  );
}

/** The methods shown when none is named, without CAM where the network or a layer rules it out; `note` then says why. */
export function applicableMethods(
  choice: ModelChoice,
  layers?: readonly string[],
): { methods: readonly string[]; note?: string } {
  const methods = defaultMethodsOf(dryRunOf(choice));
  const reason = methods.includes('cam') ? camRefusalOf(choice, layers) : undefined;
  if (reason === undefined) return { methods };
  return { methods: methods.filter((name) => name !== 'cam'), note: `CAM is left out: ${reason}` };
}

/** A model's dry run at the size that is known of it. */
export const dryRunOf = ({ description: { graph, preprocessing }, knownSize }: ModelChoice): DryRun =>
  dryRun(graph, [1, preprocessing.channels, ...knownSize]);

/** Refuses methods that cannot explain layers of a model, before any work is done. */
export function assertExplains(
  choice: ModelChoice,
  asked: readonly string[],
  layers?: readonly string[],
): void {
  const refusal = asked.includes('cam') && camRefusalOf(choice, layers);
  if (refusal) throw new LayerError(refusal);
  for (const name of asked) {
    const refusal = decoderRefusal(choice.description, methodOf(name));
    if (refusal) throw new MethodError(refusal);
  }
}

/** Why CAM cannot explain layers of a model; undefined where it can. */
function camRefusalOf(
  choice: ModelChoice,
  layers: readonly string[] = [choice.description.targetLayer],
): string | undefined {
  const dry = dryRunOf(choice);
  return layers.map((layer) => camRefusal(dry, layer)).find((reason) => reason !== undefined);
}
