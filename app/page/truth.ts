// What is known of the examples: where their objects are, and what each is worth to a score, for a scene can be drawn without
// it. So maps are measured as soon as they are there.

import { metrics } from '../../cam/index.ts';
import type { Pixels } from '../../models/pixels.ts';
import { formatValue, type HeatMap, sample } from '../image/heat.ts';
import { ask } from './ask.ts';
import { percent } from './dom.ts';
import { drawScene, openScene, type Thing, thingsIn } from './lessons/scene.ts';
import type { Subject } from './work/subject.ts';
import type { Predicted } from './work/tasks.ts';

/** A map at the size of its picture, without what is negative. */
function atSize(
  map: HeatMap,
  { width, height }: { readonly width: number; readonly height: number },
): metrics.HostMap {
  const data = Float32Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
    return Math.max(0, sample(map, (x / width) * map.width - 0.5, (y / height) * map.height - 0.5));
  });
  return { width, height, data };
}

/** The pixels of the objects of a class. */
const maskOf = (all: readonly Thing[], className: string, { width, height }: metrics.HostMap): metrics.Mask =>
  metrics.maskOf(
    all.filter(({ name }) => name === className).map(({ box }) => box),
    width,
    height,
  );

/** The share of a map's evidence that lies on objects of a class. */
export function energyOn(all: readonly Thing[], className: string, map: HeatMap, size: Pixels): number {
  const host = atSize(map, size);
  return metrics.energyPointing(host, maskOf(all, className, host)).energy;
}

/** What is true of a picture and a network that knows its objects. */
export interface Truth {
  readonly things: readonly Thing[];
  readonly width: number;
  readonly height: number;
  /** By how much a class's logit falls without each of the things. */
  readonly worths: (classIndex: number) => readonly number[];
}

/** What is true of an example before a network; undefined where nothing is known, or the network has not its classes. */
export async function truthOf(
  subject: Subject,
  { classes, seen, picture }: Predicted,
): Promise<Truth | undefined> {
  const found = thingsIn(subject.picture.id);
  const isWhole = seen.width === picture.width && seen.height === picture.height;
  const knows = found.every(({ name }) => classes.some((one) => one.name === name));
  if (found.length === 0 || !isWhole || !knows) return undefined;
  const { width, height } = seen;
  const scene = await openScene(subject.picture.id);
  const pictures = [
    scene,
    ...scene.pieces.map((piece) => ({ ...scene, pieces: scene.pieces.filter((one) => one !== piece) })),
  ];
  const [all, ...without] = await ask(
    'logits',
    { subject, pictures: pictures.map(drawScene) },
    'Without each object',
  );
  return {
    things: found,
    width,
    height,
    worths: (classIndex) => without.map((logits) => all![classIndex]! - logits[classIndex]!),
  };
}

/** What a map of a class is worth by what is true, in words. */
export function measured(
  { things, width, height, worths }: Truth,
  map: HeatMap,
  { classIndex, className }: { readonly classIndex: number; readonly className: string },
): string[] {
  const host = atSize(map, { width, height });
  const lines: string[] = [];
  if (things.some(({ name }) => name === className)) {
    const mask = maskOf(things, className, host);
    const { energy, area } = metrics.energyPointing(host, mask);
    const hits = metrics.pointing(host, mask) > 0.5;
    lines.push(
      `Pointing: peak ${hits ? '' : 'not '}on the ${className}. Energy: ${percent(energy)} on it (${percent(area)} of the area).`,
    );
  } else lines.push(`There is no ${className} in the picture.`);
  const all = worths(classIndex);
  const objects = things.map(({ box }, i) => ({ box, worth: all[i]! }));
  const { onCause, agreement } = metrics.objectAgreement(host, objects);
  const cause = things[all.indexOf(Math.max(...all))]!.name;
  lines.push(
    `Counterfactual: without the ${cause} the logit falls by ${formatValue(Math.max(...all))}; ${percent(onCause)} lies there, agreement ${agreement.toFixed(2)}.`,
  );
  return lines;
}
