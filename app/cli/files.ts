// The files that are made of explanations, and how they are called.

import { basename, extname, join } from 'node:path';
import type { Explanation } from '../../cam/index.ts';
import { writeNpy } from '../../models/formats/npy.ts';
import type { ColourMap } from '../image/colour.ts';
import { overlayOf, sheetOf } from '../image/explained.node.ts';
import { writeWhole } from '../image/write.node.ts';
import { DEFAULT_MODEL } from './options.ts';
import type { Explained } from './report.ts';

/** Where files go, and what their names say. */
export interface Destination {
  /** The folder. */
  readonly out: string;
  /** Replaces files that are there. */
  readonly force?: boolean;
  /** What was asked for beyond the defaults: names say it, so that one answer does not take the place of another. */
  readonly model: string;
  readonly output?: string;
  readonly layer?: string;
  readonly fuse?: string;
  readonly target?: string;
  /** Of maps without a sign; viridis when left out. */
  readonly colormap?: ColourMap;
}

/** How many characters of a class's, a layer's or a model's name a file's name holds. */
const LONGEST = 40;

/** A text as a part of a file's name: its letters and digits. Of long ones `end` keeps the end. */
function part(text: string, end = false): string {
  const plain = text.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '');
  return end ? plain.slice(-LONGEST) : plain.slice(0, LONGEST);
}

/** The path of a picture's file without its ending: `what` it shows stands between the picture and what was chosen. */
function pathOf(
  { stem, signed }: Explained,
  what: readonly string[],
  layer: string,
  to: Destination,
): string {
  const names = [
    stem,
    ...(to.model === DEFAULT_MODEL ? [] : [part(basename(to.model, extname(to.model)))]),
    ...(to.output === undefined ? [] : [part(to.output)]),
    ...what,
    ...(to.layer === undefined ? [] : [part(layer, true)]),
    ...(to.fuse === undefined ? [] : [to.fuse]),
    ...(to.target === undefined ? [] : [part(to.target)]),
    ...(signed ? ['signed'] : []),
  ];
  return join(to.out, names.join('.'));
}

function classPart({ className, classIndex: index }: Explanation): string {
  const label = part(className);
  return label === String(index) || label === '' ? String(index) : `${index}-${label}`;
}

/** A file, by what it is. */
type Content = readonly [kind: 'overlay' | 'map' | 'weights' | 'sheet', path: string, bytes: Uint8Array];

/** Writes files that show `explained`. */
async function write(
  explained: readonly Explained[],
  contents: readonly Content[],
  { force = false }: Destination,
): Promise<void> {
  for (const [kind, path, bytes] of contents) {
    await writeWhole(path, bytes, { replace: force });
    for (const one of explained) one.files = { ...one.files, [kind]: path };
  }
}

function pathOfOne(one: Explained, to: Destination): string {
  const { method, layer } = one.explanation;
  return pathOf(one, [method, classPart(one.explanation)], layer, to);
}

/** Writes the overlay of each explanation. */
export async function writeOverlays(explained: readonly Explained[], to: Destination): Promise<void> {
  for (const one of explained) {
    const png = overlayOf(one, to.colormap);
    await write([one], [['overlay', `${pathOfOne(one, to)}.png`, png]], to);
  }
}

/** Writes the numbers of each explanation, its map and its weights, as npy. */
export async function writeNumbers(explained: readonly Explained[], to: Destination): Promise<void> {
  for (const one of explained) {
    const { map, weights } = one;
    const path = pathOfOne(one, to);
    const contents: Content[] = [['map', `${path}.map.npy`, writeNpy(map.shape, map.data)]];
    if (weights) contents.push(['weights', `${path}.weights.npy`, writeNpy(weights.shape, weights.data)]);
    await write([one], contents, to);
  }
}

/** Writes all explanations of one picture on one sheet, a row for each class and layer. */
export async function writeSheet(explained: readonly Explained[], to: Destination): Promise<void> {
  const { image, device } = explained[0]!;
  const path = `${pathOf(explained[0]!, ['sheet'], to.layer ?? '', to)}.png`;
  const png = sheetOf(explained, { title: basename(image), device, colours: to.colormap });
  await write(explained, [['sheet', path, png]], to);
}
