// Data sets in files: a folder of pictures, or a file of annotations with the pictures beside it.

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Mask } from '../../cam/metrics/host-map.ts';
import type { Background } from '../image/alpha.ts';
import { decodeImage } from '../image/decode.ts';
import { readCoco } from './coco.ts';
import { readCsv } from './csv.node.ts';
import { CUB_FILES, readCub } from './cub.ts';
import {
  type Annotated,
  type DataSet,
  DataSetError,
  type DataSetItem,
  type Example,
  gathered,
  type Labelled,
  type Outlined,
} from './data-set.ts';
import { maskOf } from './outline.ts';
import { readVoc } from './voc.node.ts';

export interface FilesOptions {
  /** A folder of masks, PICTURE.mask.png or PICTURE.png for each picture: what is not black is the object. */
  readonly masks?: string | undefined;
  /** Laid behind what is transparent; white unless said. */
  readonly background?: Background | undefined;
}

interface Layout {
  readonly name: string;
  readonly isAt: (path: string) => boolean;
  /** The pictures, relative to the folder of `path`, or to `path` where it is one. */
  readonly read: (path: string) => Promise<Annotated[]>;
}

const text = async (path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new DataSetError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
};

const PICTURES = /\.(png|jpe?g|webp)$/i;

/** How data sets lie in files; the first whose look fits is taken. */
const layouts: readonly Layout[] = [
  {
    name: "COCO's JSON",
    isAt: (path) => /\.json$/i.test(path),
    read: async (path) => readCoco(await text(path), path),
  },
  {
    name: 'CSV',
    isAt: (path) => /\.csv$/i.test(path),
    read: async (path) => readCsv(await text(path), path),
  },
  {
    name: "Caltech-UCSD Birds' text files",
    isAt: (path) => existsSync(join(path, CUB_FILES.images)) && existsSync(join(path, CUB_FILES.boxes)),
    async read(path) {
      const of = (name: keyof typeof CUB_FILES) => text(join(path, CUB_FILES[name]));
      const split = existsSync(join(path, CUB_FILES.split)) ? await of('split') : undefined;
      const [images, labels, classes, boxes] = await Promise.all([
        of('images'),
        of('labels'),
        of('classes'),
        of('boxes'),
      ]);
      return readCub({ images, labels, classes, boxes, split });
    },
  },
  {
    name: "Pascal VOC's Annotations and JPEGImages",
    isAt: (path) => existsSync(join(path, 'Annotations')) && existsSync(join(path, 'JPEGImages')),
    async read(path) {
      const folder = join(path, 'Annotations');
      const names = (await readdir(folder)).filter((name) => name.endsWith('.xml')).sort();
      const found = [];
      for (const name of names) found.push(...readVoc(await text(join(folder, name)), join(folder, name)));
      return gathered(found.map((one) => ({ ...one, file: `JPEGImages/${one.file}` })));
    },
  },
  {
    name: 'a folder of pictures, in one folder a class or in none',
    isAt: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
    async read(path) {
      const names = (await readdir(path, { recursive: true })).filter((name) => PICTURES.test(name)).sort();
      return gathered(
        names.map((file) => {
          const folder = dirname(file);
          return { file, label: folder === '.' ? undefined : basename(folder) };
        }),
      );
    },
  },
];

/** @throws DataSetError where there is no data set at `path`, or its annotations are wrong. */
export async function openFiles(path: string, options: FilesOptions = {}): Promise<DataSet> {
  const layout = layouts.find(({ isAt }) => isAt(path));
  if (!layout || !existsSync(path)) {
    throw new DataSetError(
      `${path} is no data set: expected scenes, or ${layouts.map(({ name }) => name).join('; ')}`,
    );
  }
  const annotated = await layout.read(path);
  if (annotated.length === 0)
    throw new DataSetError(`${path}: there are no pictures (read as ${layout.name})`);
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  const bare = annotated.filter(({ objects }) => objects.length === 0).length;
  return {
    items: annotated
      .map((one) => item(folder, one, options))
      .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name))),
    labels: [...new Set(annotated.flatMap(({ objects }) => objects.map(({ label }) => label)))].sort(),
    notes: bare > 0 ? [`${bare} of ${annotated.length} pictures have no label`] : [],
  };
}

function item(folder: string, { file, objects }: Annotated, options: FilesOptions): DataSetItem {
  const path = join(folder, file);
  return {
    name: file,
    async read() {
      const cannot = (cause: Error) => {
        throw new DataSetError(`${path} cannot be read: ${cause.message}`, { cause });
      };
      const stats = await stat(path).catch(cannot);
      // A pipe or a device may have no end.
      if (!stats.isFile())
        throw new DataSetError(`${path} is no file; a data set's annotations name pictures`);
      const bytes = await readFile(path).catch(cannot);
      const masked = options.masks === undefined ? undefined : await maskFileOf(options.masks, file, path);
      const digest = createHash('sha256')
        .update(JSON.stringify([file, objects]))
        .update(bytes);
      if (masked) digest.update(masked.bytes);
      return {
        digest: digest.digest('hex'),
        async decode(): Promise<Example> {
          const pixels = await decodeImage(bytes, path, options.background);
          const mask = masked && (await decodedMask(masked));
          if (mask && (mask.width !== pixels.width || mask.height !== pixels.height)) {
            throw new DataSetError(
              `${masked.path} is of ${mask.width} x ${mask.height}, its picture of ${pixels.width} x ${pixels.height}`,
            );
          }
          return { pixels, objects: mask ? withMask(objects, mask, masked.path) : objects.map(drawn) };

          function drawn({ outlines, ...one }: Outlined): Labelled {
            return outlines ? { ...one, mask: maskOf(outlines, pixels.width, pixels.height, path) } : one;
          }
        },
      };
    },
  };
}

/** The file of a picture's mask, if there is one; never the picture itself. */
async function maskFileOf(
  folder: string,
  file: string,
  picture: string,
): Promise<{ path: string; bytes: Buffer } | undefined> {
  const stem = file.slice(0, file.length - extname(file).length);
  const path = ['.mask.png', '.png']
    .map((ending) => join(folder, `${stem}${ending}`))
    .find((one) => one !== picture && existsSync(one));
  return path === undefined ? undefined : { path, bytes: await readFile(path) };
}

async function decodedMask({ path, bytes }: { path: string; bytes: Buffer }): Promise<Mask> {
  const { width, height, rgb } = await decodeImage(bytes, path, 'black');
  const data = Uint8Array.from({ length: width * height }, (_, i) =>
    Number(rgb[3 * i]! > 0 || rgb[3 * i + 1]! > 0 || rgb[3 * i + 2]! > 0),
  );
  return { width, height, data };
}

/** A mask says of one class where it is; its box, where there is none, is the one around the whole mask. */
function withMask(objects: readonly Labelled[], mask: Mask, path: string): Labelled[] {
  const [only, ...others] = objects;
  if (!only || others.length > 0) {
    throw new DataSetError(
      `${path}: a mask belongs to a picture of one class, this one has ${objects.length}`,
    );
  }
  let [x0, y0, x1, y1] = [mask.width, mask.height, 0, 0];
  for (let i = 0; i < mask.data.length; i++) {
    if (!mask.data[i]) continue;
    const [x, y] = [i % mask.width, Math.floor(i / mask.width)];
    [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x + 1), y + 1];
  }
  if (x1 === 0) throw new DataSetError(`${path}: the mask is black everywhere; it marks no object`);
  return [{ ...only, boxes: only.boxes.length > 0 ? only.boxes : [[x0, y0, x1, y1]], mask }];
}
