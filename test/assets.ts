// Real networks, photos and reference answers, in the folder that LIMELIGHT_ASSETS names; tests skip without it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tape';

const folder = process.env.LIMELIGHT_ASSETS;

/** Whether the assets are there; otherwise says on the test that it is skipped. */
export function hasAssets(t: Test): boolean {
  if (folder !== undefined) return true;
  t.skip('LIMELIGHT_ASSETS is not set');
  return false;
}

export const assetBytes = (path: string): Uint8Array => readFileSync(join(folder ?? '', path));
export const assetJson = <T>(path: string): T =>
  JSON.parse(readFileSync(join(folder ?? '', path), 'utf8')) as T;

/** A file of raw little-endian f32. */
export function assetFloats(path: string): Float32Array {
  const bytes = assetBytes(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
