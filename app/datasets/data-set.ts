// A data set as an evaluation takes it: pictures one after another, each with what is known to be on it.

import type { Box, Mask } from '../../cam/metrics/host-map.ts';
import { LimelightError } from '../../engine/errors.ts';
import type { Pixels } from '../../models/pixels.ts';

/** A data set, or a picture or annotation of it, cannot be read; the message names file and place. */
export class DataSetError extends LimelightError {}

/** All objects of one class on one picture, in the picture's pixels. */
export interface Labelled {
  /** The class, as the data set names it. */
  readonly label: string;
  /** Empty where the data set does not say where the objects are. */
  readonly boxes: readonly Box[];
  readonly mask?: Mask;
}

/** A picture that has been read. */
export interface Example {
  readonly pixels: Pixels;
  /** One for each class; empty where nothing is known. */
  readonly objects: readonly Labelled[];
  /** Each object, and the same picture without it; only what draws its pictures has these. */
  readonly removed?: readonly { readonly box: Box; readonly pixels: Pixels }[];
}

/** A picture that has not been decoded yet. */
export interface Unread {
  /** Of the name, the picture's bytes and all annotations: what is measured depends on nothing else. */
  readonly digest: string;
  readonly decode: () => Promise<Example>;
}

export interface DataSetItem {
  /** What the picture is called, unique within the data set. */
  readonly name: string;
  /** @throws DataSetError where it is damaged or its annotations do not fit it. */
  readonly read: () => Promise<Unread>;
}

export interface DataSet {
  readonly items: readonly DataSetItem[];
  /** Every label that occurs. */
  readonly labels: readonly string[];
  /** Said of the whole: pictures without annotations, annotations that are not used. */
  readonly notes: readonly string[];
}

/** What an annotation file says of one picture. */
export interface Annotated {
  /** Path of the picture, relative to the annotations' folder. */
  readonly file: string;
  readonly objects: readonly Labelled[];
}

/** One line of annotations: a picture, a class on it if any, and a box of that class if any. */
export interface Annotation {
  readonly file: string;
  readonly label?: string | undefined;
  readonly box?: Box | undefined;
}

/** Annotations gathered by picture and class, in the order of their first occurrence. */
export function gathered(annotations: Iterable<Annotation>): Annotated[] {
  const files = new Map<string, Map<string, Box[]>>();
  for (const { file, label, box } of annotations) {
    const labels = files.get(file) ?? new Map<string, Box[]>();
    files.set(file, labels);
    if (label === undefined) continue;
    const boxes = labels.get(label) ?? [];
    labels.set(label, boxes);
    if (box) boxes.push(box);
  }
  return [...files].map(([file, labels]) => ({
    file,
    objects: [...labels].map(([label, boxes]) => ({ label, boxes })),
  }));
}

/** A box from four numbers; `where` is named if it is none. */
export function boxFrom(edges: readonly number[], where: string): Box {
  const [x0, y0, x1, y1] = edges as [number, number, number, number];
  if (edges.length === 4 && edges.every(Number.isFinite) && x0 < x1 && y0 < y1) return [x0, y0, x1, y1];
  throw new DataSetError(
    `${where}: [${edges.join(', ')}] is no box; expected left, top, right and bottom, left before right and top ` +
      'above bottom',
  );
}
