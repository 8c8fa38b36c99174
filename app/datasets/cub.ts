// Annotations of Caltech-UCSD Birds: text files whose lines begin with a picture's number.
//
//   images.txt               number path
//   image_class_labels.txt   number class
//   classes.txt              class name
//   bounding_boxes.txt       number x y width height
//   train_test_split.txt     number 1: training, 0: test; only the test pictures are taken

import { type Annotated, type Annotation, boxFrom, DataSetError, gathered } from './data-set.ts';

export const CUB_FILES = {
  images: 'images.txt',
  labels: 'image_class_labels.txt',
  classes: 'classes.txt',
  boxes: 'bounding_boxes.txt',
  split: 'train_test_split.txt',
} as const;

/** The contents of the files; the split may be missing. */
export type CubTexts = Readonly<Record<Exclude<keyof typeof CUB_FILES, 'split'>, string>> & {
  readonly split?: string | undefined;
};

/** @throws DataSetError naming the file and the line. */
export function readCub(texts: CubTexts): Annotated[] {
  const [images, labels, classes, boxes] = (['images', 'labels', 'classes', 'boxes'] as const).map((name) =>
    linesOf(texts[name], CUB_FILES[name]),
  ) as [Lines, Lines, Lines, Lines];
  const split = texts.split === undefined ? undefined : linesOf(texts.split, CUB_FILES.split);
  const of = (lines: Lines, id: string, file: string, where: string): Line => {
    const line = lines.get(id);
    if (line) return line;
    throw new DataSetError(`${where}: ${file} has no line for ${id}`);
  };
  const found = [...images].flatMap(([id, { rest, where }]): Annotation[] => {
    if (split && of(split, id, CUB_FILES.split, where).rest === '1') return [];
    const label = of(labels, id, CUB_FILES.labels, where);
    const box = of(boxes, id, CUB_FILES.boxes, where);
    const [x, y, width, height] = box.rest.split(/\s+/).map(Number) as [number, number, number, number];
    return [
      {
        file: `images/${rest}`,
        // Names begin with their numbers: 001.Black_footed_Albatross.
        label: of(classes, label.rest, CUB_FILES.classes, label.where).rest.replace(/^\d+\./, ''),
        box: boxFrom([x, y, x + width, y + height], box.where),
      },
    ];
  });
  return gathered(found);
}

interface Line {
  readonly rest: string;
  readonly where: string;
}
type Lines = ReadonlyMap<string, Line>;

function linesOf(text: string, file: string): Lines {
  const lines = new Map<string, Line>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const where = `${file}:${i + 1}`;
    const [, id, rest] = /^\s*(\d+)\s+(.*?)\s*$/.exec(line) ?? [];
    if (id === undefined || rest === undefined || rest === '') {
      throw new DataSetError(`${where}: "${line.slice(0, 60)}" does not begin with a number and a space`);
    }
    if (lines.has(id)) throw new DataSetError(`${where}: there is a line for ${id} already`);
    lines.set(id, { rest, where });
  }
  return lines;
}
