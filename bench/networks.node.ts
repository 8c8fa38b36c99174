// The networks that are measured: graph and weights for the engines that run layers, the ONNX file for those that run
// files. Those that are not shipped lie in the folder that LIMELIGHT_ASSETS names.

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { partsIn } from '../models/formats/folder.node.ts';
import { readOnnx } from '../models/formats/onnx/read.ts';
import {
  catalogEntry,
  defaultTargetLayer,
  dryRun,
  type NetworkDescription,
  readSafetensors,
} from '../models/index.ts';
import { Unsupported } from './engines/engine.ts';
import { type HostTensor, randomTensor } from './problems.ts';

export interface MeasuredNetwork {
  readonly description: NetworkDescription;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

/** Where a network comes from: files below the folder of the assets. One that has no `catalogName` is read from ONNX. */
interface Source {
  /** [C, H, W] */
  readonly inputShape: readonly [number, number, number];
  readonly catalogName?: string;
  readonly weights?: string;
  readonly onnx?: string;
}

const sources: Readonly<Record<string, Source>> = {
  squeezenet1_0: {
    inputShape: [3, 224, 224],
    catalogName: 'squeezenet1_0',
    weights: 'models/squeezenet1_0.safetensors',
    onnx: 'models/squeezenet1_0.onnx',
  },
  'mobilenet_v1_0.25': {
    inputShape: [3, 224, 224],
    onnx: 'models/mobilenet_v1_0.25_224_keras.onnx',
  },
  resnet20: {
    inputShape: [3, 32, 32],
    catalogName: 'resnet20',
    weights: 'models/resnet20_cifar10.safetensors',
    onnx: 'models/resnet20_cifar10.onnx',
  },
  'digit-scenes': { inputShape: [1, 64, 64], catalogName: 'digit-scenes' },
  'digit-dense': { inputShape: [1, 28, 28], catalogName: 'digit-dense' },
};

function sourceOf(name: string): Source {
  const source = sources[name];
  if (source) return source;
  throw new RangeError(`no network is named ${name}`);
}

function assetPath(path: string): string {
  const folder = process.env.LIMELIGHT_ASSETS;
  if (folder === undefined)
    throw new Unsupported(`${path} without LIMELIGHT_ASSETS, the folder of networks,`);
  return join(folder, path);
}

/** A network's graph and its weights. */
export async function loadMeasured(name: string): Promise<MeasuredNetwork> {
  const { catalogName, weights } = sourceOf(name);
  if (catalogName === undefined) return importedNetwork(name);
  const description = catalogEntry(catalogName);
  const bytes = await readFile(weights === undefined ? description.weights! : assetPath(weights));
  return { description, tensors: readSafetensors(bytes, name).tensors };
}

/** The network of an ONNX file, explained at what its head pools. */
async function importedNetwork(name: string): Promise<MeasuredNetwork> {
  const { onnx, inputShape } = sourceOf(name);
  const path = assetPath(onnx!);
  const { graph, tensors, probabilities } = await readOnnx(
    await readFile(path),
    path,
    partsIn(dirname(path)),
  );
  const pixels = { scale: 255, mean: [0, 0, 0], std: [1, 1, 1] };
  const description: NetworkDescription = {
    name,
    summary: '',
    graph,
    preprocessing: { channels: inputShape[0] as 1 | 3, ...pixels }, // not used: inputs are random numbers
    classes: [],
    probabilities,
    targetLayer: defaultTargetLayer(dryRun(graph, [1, ...inputShape]))!,
  };
  return { description, tensors };
}

/** A network as `--model` of the command line takes it. */
export function modelArgument(name: string): string {
  const { catalogName, weights, onnx } = sourceOf(name);
  if (catalogName === undefined) return assetPath(onnx!);
  return weights === undefined ? catalogName : `${catalogName}=${assetPath(weights)}`;
}

/** A network as an ONNX file. */
export async function onnxFile(name: string): Promise<Uint8Array> {
  const { onnx } = sourceOf(name);
  if (onnx === undefined) throw new Unsupported(`${name}, which has no ONNX file,`);
  return readFile(assetPath(onnx));
}

/** The same input [batch, C, H, W] for every engine. */
export const networkInput = (name: string, batch: number): HostTensor =>
  randomTensor([batch, ...sourceOf(name).inputShape], 3);

export const inputShapeOf = (name: string, batch: number): number[] => [batch, ...sourceOf(name).inputShape];
