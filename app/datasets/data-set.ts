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
  /** Where objects of the class may be that are neither asked for nor wrong to find: crowds, and what is hard to see. */
  readonly ignored?: readonly Box[];
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
  /** Of every picture, where all have one and it is known before they are read. */
  readonly size?: readonly [height: number, width: number];
  /** Said of the whole: pictures without annotations, annotations that are not used. */
  readonly notes: readonly string[];
}

/** Polygons, or runs of pixels, that say where an object is (`outline.ts`). */
export type Outline =
  | readonly (readonly number[])[]
  | { readonly size: readonly [height: number, width: number]; readonly counts: string | readonly number[] };

/** What an annotation file says of one picture. */
export interface Annotated {
  /** Path of the picture, relative to the annotations' folder. */
  readonly file: string;
  readonly objects: readonly Outlined[];
}

/** The same with the outlines of which the mask is made when the picture is read; absent where one of them is missing. */
export interface Outlined extends Labelled {
  readonly outlines?: readonly Outline[];
}

/** One line of annotations: a picture, a class on it if any, and a box of that class if any. */
export interface Annotation {
  readonly file: string;
  readonly label?: string | undefined;
  readonly box?: Box | undefined;
  readonly outline?: Outline | undefined;
  /** Whether the box is to be ignored. */
  readonly isIgnored?: boolean;
}

/** Annotations gathered by picture and class, in the order of their first occurrence. */
export function gathered(annotations: Iterable<Annotation>): Annotated[] {
  const files = new Map<string, Map<string, Annotation[]>>();
  for (const annotation of annotations) {
    const { file, label } = annotation;
    const labels = files.get(file) ?? new Map<string, Annotation[]>();
    files.set(file, labels);
    if (label !== undefined) labels.set(label, [...(labels.get(label) ?? []), annotation]);
  }
  return [...files].map(([file, labels]) => ({
    file,
    objects: [...labels].flatMap(([label, all]) => {
      const asked = all.filter(({ isIgnored }) => !isIgnored);
      if (asked.length === 0) return [];
      const boxes = asked.flatMap(({ box }) => (box ? [box] : []));
      const outlines = asked.flatMap(({ outline }) => (outline ? [outline] : []));
      const ignored = all.flatMap(({ box, isIgnored }) => (isIgnored && box ? [box] : []));
      return [
        {
          label,
          boxes,
          ...(outlines.length > 0 && outlines.length === boxes.length && { outlines }),
          ...(ignored.length > 0 && { ignored }),
        },
      ];
    }),
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
