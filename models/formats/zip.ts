// Zip archives, by fflate: PyTorch's files, Keras's.

import { unzipSync } from 'fflate';
import { FormatError } from './errors.ts';

/** What zip archives begin with. */
export const isZip = (bytes: Uint8Array): boolean => bytes[0] === 0x50 && bytes[1] === 0x4b;

/** Weights shrink little when they are compressed: an archive that would grow more than this is none of ours. */
const MOST_GROWTH = 20;
const ALWAYS_ALLOWED = 1 << 26;

/**
 * The files of an archive by their paths, those that are `wanted`. `name` stands for it in messages.
 *
 * @throws {FormatError} if it is damaged, names a file twice, or would grow to many times its size.
 */
export function unzip(
  bytes: Uint8Array,
  name: string,
  wanted: (path: string) => boolean = () => true,
): ReadonlyMap<string, Uint8Array> {
  let total = 0;
  const paths = new Set<string>();
  const filter = (file: { name: string; originalSize: number }) => {
    if (!wanted(file.name)) return false;
    if (paths.has(file.name)) throw new FormatError(`${name}: the archive holds ${file.name} twice`);
    paths.add(file.name);
    total += file.originalSize;
    if (total <= ALWAYS_ALLOWED + MOST_GROWTH * bytes.length) return true;
    throw new FormatError(`${name}: the archive unpacks to more than ${MOST_GROWTH} times its size`);
  };
  try {
    return new Map(Object.entries(unzipSync(bytes, { filter })));
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError(`${name}: the zip archive is damaged: ${(cause as Error).message}`, { cause });
  }
}
