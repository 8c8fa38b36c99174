// Files that reached new code of a reader when it was fuzzed, in one text a reader: a line each, in base 64.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const pathOf = (name: string) => fileURLToPath(new URL(`corpus/${name}.txt`, import.meta.url));

/** Bytes of files that are kept of each reader. */
const MOST_BYTES = 1 << 14;

export const load = (name: string): Uint8Array[] =>
  existsSync(pathOf(name))
    ? readFileSync(pathOf(name), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => new Uint8Array(Buffer.from(line, 'base64')))
    : [];

/** Keeps the smallest files that there is room for. */
export function keep(name: string, files: readonly Uint8Array[]): void {
  const chosen: Uint8Array[] = [];
  let bytes = 0;
  for (const file of [...files].sort((a, b) => a.length - b.length)) {
    bytes += file.length;
    if (bytes <= MOST_BYTES) chosen.push(file);
  }
  if (chosen.length === 0) return;
  mkdirSync(fileURLToPath(new URL('corpus', import.meta.url)), { recursive: true });
  writeFileSync(pathOf(name), chosen.map((file) => `${Buffer.from(file).toString('base64')}\n`).join(''));
}
