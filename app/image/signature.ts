// What kind of picture a file is, by its first bytes: extensions lie.

/** What the first bytes of a file, read as Latin-1, say about it; the first match wins. */
const signatures: [RegExp, string][] = [
  [/^\x89PNG/, 'PNG'],
  [/^\xff\xd8\xff/, 'JPEG'],
  [/^GIF8/, 'GIF'],
  [/^RIFF....WEBP/s, 'WebP'],
  [/^BM/, 'BMP'],
  [/^(II\*\0|MM\0\*)/, 'TIFF'],
  [/^....ftyp(avif|avis)/s, 'AVIF'],
  [/^....ftyp(hei|hev|mif1|msf1)/s, 'HEIC'],
  [/^(\xff\n|....JXL )/s, 'JPEG XL'],
  [/^(....jP {2}|\xffO\xffQ)/s, 'JPEG 2000'],
  [/^8BPS/, 'Photoshop'],
  [/^\x93NUMPY/, 'NumPy'],
  [/^%PDF/, 'PDF'],
  [/^\s*(<!doctype html|<html)/i, 'HTML'],
  [/^\s*(<svg|<\?xml)/i, 'SVG or XML'],
];

/** The name of a file's format; undefined where it is not known. */
export function signatureOf(bytes: Uint8Array): string | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 64));
  return signatures.find(([pattern]) => pattern.test(start))?.[1];
}
