// Annotations in Pascal VOC's XML, one file a picture.
//
// A box there names its first and last pixels, counted from 1: xmin .. xmax become the edges xmin - 1 and xmax. Objects
// marked as difficult are ignored, as VOC's own evaluation does.

import sax from 'sax';
import { type Annotation, boxFrom, DataSetError } from './data-set.ts';

const EDGES = ['xmin', 'ymin', 'xmax', 'ymax'] as const;

/** @throws DataSetError naming `path` and the line. */
export function readVoc(text: string, path: string): Annotation[] {
  const parser = sax.parser(true, { trim: true });
  const open: string[] = [];
  const found: Omit<Annotation, 'file'>[] = [];
  let file: string | undefined;
  let object = new Map<string, string>();
  const here = () => `${path}:${parser.line + 1}`;
  parser.onopentag = ({ name }) => {
    open.push(name);
    if (name === 'object') object = new Map();
  };
  parser.ontext = (content) => {
    const at = open.slice(1).join('/');
    if (at === 'filename') file = content;
    // Parts of an object, such as a person's head, have names and boxes deeper down.
    const field = /^object\/(?:(name|difficult)|bndbox\/(\w+))$/.exec(at);
    if (field) object.set(field[1] ?? field[2]!, content);
  };
  parser.onclosetag = () => {
    if (open.join('/') === 'annotation/object') {
      const label = object.get('name');
      if (label === undefined) throw new DataSetError(`${here()}: an object has no name`);
      const [x0, y0, x1, y1] = EDGES.map((edge) => Number(object.get(edge) ?? Number.NaN));
      const box = boxFrom([x0! - 1, y0! - 1, x1!, y1!], here());
      found.push({ label, box, ...(object.get('difficult') === '1' && { isIgnored: true }) });
    }
    open.pop();
  };
  parser.onerror = (cause) => {
    throw new DataSetError(`${here()}: ${cause.message.split('\n')[0]}`, { cause });
  };
  parser.write(text).close();
  if (file === undefined) throw new DataSetError(`${path}: no filename; expected Pascal VOC's <annotation>`);
  const name = file;
  return [{}, ...found].map((one) => ({ ...one, file: name }));
}
