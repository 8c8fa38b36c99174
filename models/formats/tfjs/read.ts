// TensorFlow.js's model.json: a layers-model, which has Keras's configuration, or a graph-model, which has a graph of
// TensorFlow's operations. The weights lie beside it.

import { FormatError } from '../errors.ts';
import type { ImportedNetwork, OpenPart, ReadOptions } from '../imported.ts';
import { field, isObject, parseObject, quote } from '../json.ts';
import { buildKeras } from '../keras/build.ts';
import { readManifest } from './manifest.ts';

/**
 * Reads a model. `openPart` opens its shards, whose names come from the file: only names inside the folder are
 * passed on, and nothing is ever fetched.
 *
 * @throws {FormatError} if the file or a shard is malformed, or the network holds what Limelight cannot compute.
 */
export async function readTfjs(
  modelJson: Uint8Array,
  fileName: string,
  openPart: OpenPart,
  options: ReadOptions = {},
): Promise<ImportedNetwork> {
  const root = parseObject(modelJson, fileName);
  const topology = field(root, 'modelTopology');
  const manifest = field(root, 'weightsManifest');
  if (!isObject(topology) || !Array.isArray(manifest)) {
    throw new FormatError(
      `${fileName} is no TensorFlow.js model: modelTopology is ${quote(topology)}, weightsManifest ${quote(manifest)}`,
    );
  }
  if (field(root, 'format') === 'graph-model' || Array.isArray(field(topology, 'node'))) {
    const weights = await readManifest(manifest, fileName, openPart);
    const { readGraphModel } = await import('./graph.ts');
    return readGraphModel({ topology, signature: field(root, 'signature'), weights }, fileName, options);
  }
  // Models that TensorFlow.js itself saved have the configuration at once.
  const config = field(topology, 'model_config') ?? topology;
  if (!isObject(config))
    throw new FormatError(`${fileName}: model_config is ${quote(config)}, not an object`);
  const weights = await readManifest(manifest, fileName, openPart);
  return buildKeras({ config, kerasVersion: field(topology, 'keras_version'), weights }, fileName, options);
}
