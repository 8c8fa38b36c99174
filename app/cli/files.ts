// The files that are made of explanations, and how they are called.

import { basename, extname, join } from 'node:path';
import { type Explanation, methodOf } from '../../cam/index.ts';
import { largest, least } from '../../engine/extremes.ts';
import { writeNpy } from '../../models/formats/npy.ts';
import { formatValue, type HeatMap } from '../image/heat.ts';
import { renderOverlay } from '../image/overlay.ts';
import { renderSheet } from '../image/sheet.ts';
import { writeWhole } from '../image/write.node.ts';
import { DEFAULT_MODEL } from './options.ts';
import { type Explained, score } from './report.ts';

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

/** The map as it is drawn, divided by `high`, its largest value or, where signed, magnitude. */
function drawn({ map, signed }: Explained): { map: HeatMap; low: number; high: number } {
  const [height, width] = map.shape as [number, number];
  const high = Math.max(0, largest(map.data), signed ? -least(map.data) : 0);
  const scaled = map.data.map((value) => (high === 0 ? 0 : (signed ? value : Math.max(0, value)) / high));
  return { map: { width, height, data: scaled }, low: signed ? -high : 0, high };
}

const titleOf = (method: string): string => methodOf(method).title;

const classLine = ({ box, explanation: { className, probability, logit } }: Explained): string =>
  box
    ? `box ${box.number}, ${className}: ${score(box.score)}`
    : probability === null
      ? `${className}: ${logit.toFixed(2)}`
      : `class ${className}: ${score(probability)}, logit ${logit.toFixed(2)}`;

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
    const { explanation, model, pixels, signed } = one;
    const png = renderOverlay({
      ...drawn(one),
      pixels,
      title: titleOf(explanation.method),
      lines: [classLine(one), `layer ${explanation.layer} of ${model}`],
      signed,
      box: one.box?.edges,
    });
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
  const { model, device, pixels, image, explanation } = explained[0]!;
  const layers = new Set(explained.map((one) => one.explanation.layer));
  const rowOf = ({ explanation: { classIndex, layer } }: Explained) => `${classIndex} ${layer}`;
  const rows = [...new Set(explained.map(rowOf))].map((key) => {
    const row = explained.filter((one) => rowOf(one) === key);
    const cells = row.map((one) => ({
      title: titleOf(one.explanation.method),
      caption: `largest value ${formatValue(drawn(one).high)}`,
      pixels,
      map: drawn(one).map,
      signed: one.signed,
    }));
    const picture = { title: 'input', caption: `${pixels.width} × ${pixels.height}`, pixels };
    const line = classLine(row[0]!);
    const label = layers.size > 1 ? `${line}; layer ${row[0]!.explanation.layer}` : line;
    return { label, cells: [picture, ...cells] };
  });
  const path = `${pathOf(explained[0]!, ['sheet'], to.layer ?? '', to)}.png`;
  const lines = [layers.size > 1 ? model : `layer ${explanation.layer} of ${model}`, device];
  await write(explained, [['sheet', path, renderSheet({ title: basename(image), lines, rows })]], to);
}
