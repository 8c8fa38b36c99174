// .keras archives, as Keras 3 writes them by default: a zip of config.json, metadata.json and model.weights.h5.

import { FormatError } from '../errors.ts';
import type { ImportedNetwork, ReadOptions } from '../imported.ts';
import { field, type Json, parseObject } from '../json.ts';
import { unzip } from '../zip.ts';
import { buildKeras } from './build.ts';
import { layersIn } from './config.ts';
import type { StoredWeight } from './context.ts';
import { type ReadApart, readApart, readH5 } from './h5.ts';

export { readKerasH5 } from './h5.ts';

const [CONFIG, METADATA, WEIGHTS] = ['config.json', 'metadata.json', 'model.weights.h5'];

/**
 * Reads a model that `model.save('name.keras')` wrote.
 *
 * @throws {FormatError} if the archive or a file in it is malformed, or the network holds what Limelight cannot compute.
 */
export async function readKerasArchive(
  bytes: Uint8Array,
  fileName: string,
  options: ReadOptions = {},
  read: ReadApart = readApart,
): Promise<ImportedNetwork> {
  const files = unzip(bytes, fileName, (path) => [CONFIG, METADATA, WEIGHTS].includes(path));
  const part = (path: string): Uint8Array => {
    const found = files.get(path);
    if (found) return found;
    throw new FormatError(`${fileName}: the archive has no ${path}; is it a model that Keras 3 saved?`);
  };
  const config = parseObject(part(CONFIG!), `${fileName}: ${CONFIG}`);
  const metadata = files.has(METADATA!) ? parseObject(part(METADATA!), `${fileName}: ${METADATA}`) : {};
  const name = `${fileName}: ${WEIGHTS}`;
  const { weightsByKey } = await readH5({ bytes: part(WEIGHTS!), name, holds: 'variables' }, read);
  const weights = byNames(config, weightsByKey);
  return buildKeras(
    { config, kerasVersion: field(metadata, 'keras_version') ?? '3', weights },
    fileName,
    options,
  );
}

/** What a layer's variables are called, in the order in which the layer makes them. */
const variables: Readonly<Record<string, readonly string[]>> = {
  SeparableConv2D: ['depthwise_kernel', 'pointwise_kernel', 'bias'],
  BatchNormalization: ['gamma', 'beta', 'moving_mean', 'moving_variance'],
  LayerNormalization: ['gamma', 'beta'],
  GroupNormalization: ['gamma', 'beta'],
  Normalization: ['mean', 'variance', 'count'],
  PReLU: ['alpha'],
  LayerScale: ['gamma'],
};
const others = ['kernel', 'bias'];
/** Settings by which a layer does without a variable. */
const switches: Readonly<Record<string, string>> = { bias: 'use_bias', gamma: 'scale', beta: 'center' };

function variableNames(className: string, config: Json): readonly string[] {
  const names = Object.hasOwn(variables, className) ? variables[className]! : others;
  return names.filter((name) => field(config, switches[name] ?? '') !== false);
}

/**
 * Weights by "outer/layer/weight". The archive knows layers by their class and by how many of it came before in the same
 * model, "layers/conv2d_1/vars/0", since names are given anew when a model is made again.
 */
function byNames(config: Json, stored: ReadonlyMap<string, StoredWeight>): ReadonlyMap<string, StoredWeight> {
  const weights = new Map<string, StoredWeight>();
  const visit = (model: Json, folder: string, prefix: string) => {
    const seen = new Map<string, number>();
    for (const { name, className, config: settings, isModel, json } of layersIn(model)) {
      const kind = snakeCase(className);
      const before = seen.get(kind) ?? 0;
      seen.set(kind, before + 1);
      const path = `${folder}/${before === 0 ? kind : `${kind}_${before}`}`;
      if (isModel) visit(json, `${path}/${CONTAINER.exec(folder)![0]}`, `${prefix}${name}/`);
      for (const [i, short] of variableNames(className, settings).entries()) {
        const weight = stored.get(`${path}/vars/${i}`);
        if (weight) weights.set(`${prefix}${name}/${short}`, weight);
      }
    }
  };
  for (const container of ['layers', '_layer_checkpoint_dependencies']) visit(config, container, '');
  return weights;
}

/** The last part of a path: what a model's layers are kept under; Keras 2.12 to 2.15 call it otherwise. */
const CONTAINER = /[^/]+$/;

/** As Keras turns class names into paths: BatchNormalization to batch_normalization, Conv2D to conv2d. */
const snakeCase = (name: string): string =>
  name
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();
