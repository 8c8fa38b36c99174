// Annotations in COCO's JSON: images, categories, and annotations with boxes [x, y, width, height] in pixels.
//
// Crowds (`iscrowd`) are boxes around many objects, and are ignored: no pixel there is right or wrong. Where every object of a class on a picture has a
// `segmentation`, they make its mask.

import { type Annotated, type Annotation, boxFrom, DataSetError, gathered } from './data-set.ts';
import { outlineFrom } from './outline.ts';

type Row = Readonly<Record<string, unknown>>;

/** @throws DataSetError naming `path` and the entry that is wrong. */
export function readCoco(text: string, path: string): Annotated[] {
  const whole = parsed(text, path);
  const [images, categories, annotations] = ['images', 'categories', 'annotations'].map((name) =>
    rows(whole, name, path),
  ) as [Row[], Row[], Row[]];
  const byId = (entries: Row[], list: string, key: string) =>
    new Map(
      entries.map((entry, i) => {
        const value = entry[key];
        if (typeof value === 'string' && value !== '') return [entry.id, value] as const;
        throw new DataSetError(`${path}: ${list}[${i}] has no ${key}`);
      }),
    );
  const files = byId(images, 'images', 'file_name');
  const names = byId(categories, 'categories', 'name');
  const found = annotations.flatMap((entry, i): Annotation[] => {
    const where = `${path}: annotations[${i}]`;
    const [file, label] = [files.get(entry.image_id), names.get(entry.category_id)];
    if (file === undefined) throw new DataSetError(`${where}: no image has the id ${String(entry.image_id)}`);
    if (label === undefined) {
      throw new DataSetError(`${where}: no category has the id ${String(entry.category_id)}`);
    }
    if (!Array.isArray(entry.bbox)) throw new DataSetError(`${where} has no bbox [x, y, width, height]`);
    const [x, y, width, height] = entry.bbox.map(Number) as [number, number, number, number];
    const box = boxFrom([x, y, x + width, y + height], where);
    if (entry.iscrowd === 1) return [{ file, label, box, isIgnored: true }];
    const { segmentation } = entry;
    const isGiven = segmentation !== undefined && !(Array.isArray(segmentation) && segmentation.length === 0);
    return [{ file, label, box, ...(isGiven && { outline: outlineFrom(segmentation, where) }) }];
  });
  return gathered([...[...files.values()].map((file) => ({ file })), ...found]);
}

function rows(whole: Row, name: string, path: string): Row[] {
  const list = whole[name];
  const isRow = (entry: unknown) => typeof entry === 'object' && entry !== null && !Array.isArray(entry);
  if (Array.isArray(list) && list.every(isRow)) return list;
  throw new DataSetError(
    `${path}: "${name}" is no list of objects; COCO's files have images, categories, annotations`,
  );
}

function parsed(text: string, path: string): Row {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const { message } = cause as SyntaxError;
    const at = /position (\d+)/.exec(message)?.[1];
    const line = at === undefined ? '' : ` in line ${text.slice(0, Number(at)).split('\n').length}`;
    throw new DataSetError(`${path} is no JSON${line}: ${message}`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Row;
  throw new DataSetError(`${path} is no COCO file: expected an object with images, categories, annotations`);
}
