// Mosaics of n x n pictures of different classes, for the grid pointing game: the cell of a class is its box.
//
// Every picture is the first of one mosaic; the others are drawn by chance among pictures of further classes. Cells have
// the size of that first picture's cell, n of which fit the network.

import { createHash } from 'node:crypto';
import { cellOf } from '../../cam/metrics/grid-pointing.ts';
import type { Pixels } from '../../models/pixels.ts';
import { resizePixels } from '../../models/preprocess.ts';
import { permutation, random } from '../../models/train/data/random.ts';
import { type DataSet, DataSetError, type Example } from './data-set.ts';

export interface MosaicOptions {
  /** Pictures along a side. */
  readonly n: number;
  readonly seed: number;
  /** Side of a cell in pixels. */
  readonly cell: number;
}

/** Mosaics of a data set whose pictures have one class each; their labels come from its annotations. */
export async function mosaicsOf(data: DataSet, { n, seed, cell }: MosaicOptions): Promise<DataSet> {
  const cells = n * n;
  if (data.labels.length < cells) {
    throw new DataSetError(
      `a mosaic of ${n} x ${n} needs ${cells} classes; the data set has ${data.labels.length}`,
    );
  }
  return {
    ...data,
    size: [n * cell, n * cell],
    items: data.items.map((first, i) => ({
      name: `mosaic of ${first.name}`,
      async read() {
        const order = permutation(data.items.length, random(seed + i));
        const examples: Example[] = [];
        const digest = createHash('sha256').update(JSON.stringify([first.name, n, cell, seed]));
        const seen = new Set<string>();
        for (const at of [i, ...order]) {
          const item = data.items[at]!;
          if (examples.length === cells) break;
          const unread = await item.read();
          const found = await unread.decode();
          const label = found.objects[0]?.label;
          if (found.objects.length !== 1 || label === undefined || seen.has(label)) continue;
          seen.add(label);
          examples.push(found);
          digest.update(unread.digest);
        }
        if (examples.length < cells) {
          throw new DataSetError(`there are no pictures of ${cells} classes for a mosaic with ${first.name}`);
        }
        return { digest: digest.digest('hex'), decode: async () => composed(examples, n, cell) };
      },
    })),
  };
}

function composed(examples: readonly Example[], n: number, cell: number): Example {
  const side = n * cell;
  const rgb = new Uint8Array(3 * side * side);
  for (const [i, { pixels }] of examples.entries()) {
    const [x0, y0] = cellOf(i, n, side, side);
    const { rgb: part } = squared(pixels, cell);
    for (let y = 0; y < cell; y++) {
      rgb.set(part.subarray(3 * y * cell, 3 * (y + 1) * cell), 3 * ((y0 + y) * side + x0));
    }
  }
  return {
    pixels: { width: side, height: side, rgb },
    objects: examples.map(({ objects }, i) => ({
      label: objects[0]!.label,
      boxes: [cellOf(i, n, side, side)],
    })),
  };
}

/** The middle square of a picture, scaled to a cell. */
function squared({ width, height, rgb }: Pixels, cell: number): Pixels {
  const side = Math.min(width, height);
  const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
  const cut = new Uint8Array(3 * side * side);
  for (let y = 0; y < side; y++) {
    const from = 3 * ((top + y) * width + left);
    cut.set(rgb.subarray(from, from + 3 * side), 3 * y * side);
  }
  return resizePixels({ width: side, height: side, rgb: cut }, [cell, cell]);
}
