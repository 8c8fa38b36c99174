// `limelight/hub`, under Node: published weights and class names by name, fetched once, checked each time, kept in a folder.

import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { catalogEntry, ModelError } from '../catalog.ts';
import { classNames } from '../labels.ts';
import type { Tokenizer } from '../text.ts';
import { type CacheOptions, cachedFile } from './cache.node.ts';
import { imagenetLabels } from './published.ts';
import { readTokenizer } from './tokenizer.ts';

export { cacheFolder } from '../../engine/platform/node/folder.ts';
export type { Tokenizer } from '../text.ts';
export type { CacheOptions } from './cache.node.ts';
export { HubError } from './remote-file.ts';

/**
 * Where the weights of a network of the catalog are: shipped, or fetched unless they are in the cache. `open` with the name
 * alone does so too; this one shows progress, can be cancelled, and fetches before there is a device.
 *
 * @example
 * await fetchModel('resnet18', { progress: (received, total) => console.log(received, total) });
 * const network = await open(device, 'resnet18');
 *
 * @throws {ModelError} if there is no network of that name, or its weights are not published.
 * @throws {HubError} if they cannot be had, cannot be kept, or are not what they should be.
 */
export async function fetchModel(name: string, options?: CacheOptions): Promise<URL> {
  const { weights, published } = catalogEntry(name);
  if (weights) return weights;
  if (published) return pathToFileURL(await cachedFile(published.weights, options));
  throw new ModelError(
    `the weights of ${name} are not published where they could be fetched; open their file`,
  );
}

/** The names of ImageNet's 1,000 classes, in their order. Throws HubError if they cannot be had. */
export async function fetchImagenetClasses(options?: CacheOptions): Promise<readonly string[]> {
  const path = await cachedFile(imagenetLabels, options);
  return classNames(await readFile(path, 'utf8'), 1000, path);
}

/**
 * How texts become the tokens of a network that is published with a vocabulary, for `open` of a file; `open` of its name
 * fetches it by itself.
 *
 * @example
 * const network = await open(device, readFileSync('my-clip.safetensors'), {
 *   architecture: 'clip-vit-base-patch32',
 *   text: 'a cat | a dog',
 *   tokenizer: await fetchTokenizer('clip-vit-base-patch32'),
 * });
 *
 * @throws {ModelError} if there is no network of that name, or it is published without a vocabulary.
 * @throws {HubError} if it cannot be had, cannot be kept, or is not what it should be.
 */
export async function fetchTokenizer(name: string, options?: CacheOptions): Promise<Tokenizer> {
  const { published } = catalogEntry(name);
  if (published?.tokenizer === undefined) throw new ModelError(`${name} is not published with a vocabulary`);
  const path = await cachedFile(published.tokenizer, options);
  return readTokenizer(await readFile(path, 'utf8'), path);
}
