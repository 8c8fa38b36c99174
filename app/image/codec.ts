// Decoders in WebAssembly, as the jSquash packages have them: libjpeg-turbo's (by way of mozjpeg, which decodes by it)
// and libwebp's. They give to the bit what Pillow gives, which training saw.

import { packageBytes } from '#platform';
import { type Background, type Opaque, opaque } from './alpha.ts';

/** A module as Emscripten makes it, as far as it is used here. */
interface Codec {
  decode(bytes: Uint8Array, ...options: readonly unknown[]): ImageDataLike | null;
}
interface ImageDataLike {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}
type Factory = (overrides: object) => Promise<Codec>;

const codecs: Readonly<
  Record<'jpeg' | 'webp', { load: () => Promise<unknown>; wasm: string; options: unknown[] }>
> = {
  jpeg: {
    load: async () => (await import('@jsquash/jpeg/codec/dec/mozjpeg_dec.js')).default,
    wasm: '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm',
    // The orientation is left to us.
    options: [false],
  },
  webp: {
    load: async () => (await import('@jsquash/webp/codec/dec/webp_dec.js')).default,
    wasm: '@jsquash/webp/codec/dec/webp_dec.wasm',
    options: [],
  },
};

/** A decoded picture, and what the decoder complained of meanwhile. */
export interface Decoded {
  readonly pixels: Opaque;
  readonly complaints: readonly string[];
}

/**
 * Decodes a picture. Each is decoded by an instance of its own, so
 * that its memory is given back and no damage in one file reaches the next. Throws whatever the decoder throws.
 */
export async function decodeBy(
  name: keyof typeof codecs,
  bytes: Uint8Array,
  background: Background,
): Promise<Decoded> {
  const { load, wasm, options } = codecs[name];
  const complaints: string[] = [];
  const wasmBinary = await packageBytes(wasm);
  const printErr = (line: string) => complaints.push(line);
  const codec = await ((await load()) as Factory)({
    noInitialRun: true,
    printErr,
    ...(wasmBinary && { wasmBinary }),
  });
  // Until here it complained of how it was loaded, at most.
  complaints.length = 0;
  const decoded = codec.decode(bytes, ...options);
  if (decoded === null) throw new Error(complaints.join('; '));
  return { pixels: opaque(decoded.width, decoded.height, decoded.data, background), complaints };
}
