// Reads a few named files out of a tar archive.
// Format: POSIX.1-1988 ustar, 512-byte blocks, header checksum included; no long names, links or sparse files.

import { ArchiveError } from '../errors.ts';

const BLOCK = 512;
const NAME = { at: 0, length: 100 };
const SIZE = { at: 124, length: 12 };
const CHECKSUM = { at: 148, length: 8 };
const TYPE_AT = 156;

/**
 * The regular files of `archive` whose base names are in `wanted`, as views into it.
 * Throws `ArchiveError` when the archive is truncated or damaged, or when a wanted file is missing.
 */
export function untar(archive: Uint8Array, wanted: readonly string[]): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (let at = 0; at < archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.length < BLOCK) throw new ArchiveError(`the archive ends inside a header, at byte ${at}`);
    if (header.every((byte) => byte === 0)) break;
    const stored = octal(header, CHECKSUM, at);
    if (stored !== checksum(header)) throw new ArchiveError(`the header at byte ${at} has a wrong checksum`);
    const size = octal(header, SIZE, at);
    const start = at + BLOCK;
    const name = field(header, NAME).split('/').at(-1)!;
    if (start + size > archive.length) {
      throw new ArchiveError(
        `the archive ends inside "${name}": ${size} bytes from byte ${start} on are promised`,
      );
    }
    const regular = header[TYPE_AT] === 0 || header[TYPE_AT] === 0x30;
    if (regular && wanted.includes(name)) found.set(name, archive.subarray(start, start + size));
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  const missing = wanted.filter((name) => !found.has(name));
  if (missing.length > 0) throw new ArchiveError(`the archive lacks ${missing.join(', ')}`);
  return found;
}

/** The text of a header field, up to its first NUL. */
function field(header: Uint8Array, { at, length }: { at: number; length: number }): string {
  return String.fromCharCode(...header.subarray(at, at + length)).replace(/\0[\s\S]*$/, '');
}

function octal(header: Uint8Array, where: { at: number; length: number }, headerAt: number): number {
  const digits = field(header, where).trim();
  if (!/^[0-7]+$/.test(digits))
    throw new ArchiveError(`the header at byte ${headerAt} has a field that is no number`);
  return Number.parseInt(digits, 8);
}

/** Sum of the header's bytes, with the checksum field itself taken as spaces. */
function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, i) => {
    const isChecksum = i >= CHECKSUM.at && i < CHECKSUM.at + CHECKSUM.length;
    return sum + (isChecksum ? 0x20 : byte);
  }, 0);
}
