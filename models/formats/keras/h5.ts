// Keras's .h5 files: HDF5 with the model's configuration as an attribute and the weights as datasets.

import { apart } from '#platform';
import { FormatError } from '../errors.ts';
import type { ImportedNetwork, ReadOptions } from '../imported.ts';
import { parseObject } from '../json.ts';
import { isZip } from '../zip.ts';
import { buildKeras } from './build.ts';
import type { StoredWeight } from './context.ts';
import type { H5Content, H5File } from './h5-content.ts';

/** What HDF5 files begin with. */
const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
/**
 * How long reading may take, in milliseconds: a minute, and a second a megabyte. Networks take far less, circles in
 * damaged files for ever.
 */
const timeLimitFor = (bytes: number) => 60_000 + bytes / 1000;
const worker = new URL('./h5-worker.ts', import.meta.url);

/** Has a file read apart from the program; resolves to its content. */
export type ReadApart = (file: H5File) => Promise<unknown>;

/** Reads each file in a process or worker that is started for it. */
export const readApart: ReadApart = async (file) => {
  const reader = apart(worker);
  try {
    return await reader.ask(file, timeLimitFor(file.bytes.length));
  } finally {
    reader.end();
  }
};

/**
 * Reads an HDF5 file. The HDF5 library runs apart, since damaged files can crash it or keep it busy for ever: its time and
 * its memory are bounded by the file's size.
 */
export async function readH5(
  file: H5File,
  read: ReadApart,
): Promise<Exclude<H5Content, { problem: string }> & { weightsByKey: ReadonlyMap<string, StoredWeight> }> {
  if (!SIGNATURE.every((byte, i) => file.bytes[i] === byte)) {
    const hint = isZip(file.bytes)
      ? 'it is a zip archive, as Keras 3 writes: name it .keras'
      : 'is it complete?';
    throw new FormatError(`${file.name} is not an HDF5 file; ${hint}`);
  }
  const content = (await read(file).catch((cause) => {
    throw new FormatError(`${file.name}: the HDF5 library cannot read it: ${String(cause).slice(0, 200)}`, {
      cause,
    });
  })) as H5Content;
  if ('problem' in content) throw new FormatError(content.problem);
  const weightsByKey = new Map(
    content.weights.map(([key, { shape, data }]) => [key, { shape, read: () => data }]),
  );
  return { ...content, weightsByKey };
}

/**
 * Reads a Keras model: functional or Sequential, as `model.save('name.h5')` writes it.
 *
 * @throws {FormatError} if the file is malformed, holds weights alone, or a network that Limelight cannot compute.
 */
export async function readKerasH5(
  bytes: Uint8Array,
  fileName: string,
  options: ReadOptions = {},
  read: ReadApart = readApart,
): Promise<ImportedNetwork> {
  const { config: text, kerasVersion, weightsByKey } = await readH5({ bytes, name: fileName }, read);
  const config = parseObject(text, `${fileName}: model_config`);
  return buildKeras({ config, kerasVersion, weights: weightsByKey }, fileName, options);
}
