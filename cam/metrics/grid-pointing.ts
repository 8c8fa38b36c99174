// Grid pointing game (Boehle, Fritz, Schiele 2021, 2022): a mosaic of n x n pictures of different classes; how much of a
// class's map lies in that class's cell?
//
//   L_i = sum_{xy in cell i} ReLU(A) / sum_xy ReLU(A)
//
// This is energy pointing with the cell as the object, and chance scores 1 / n^2. It needs a network that takes mosaics:
// fully convolutional up to its pooling. Cells at the border see padding that the ones within do not.

import { energyPointing } from './energy.ts';
import { type Box, type HostMap, maskOf } from './host-map.ts';

/** Cell `index` of a mosaic of n x n, counted row by row. */
export function cellOf(index: number, n: number, width: number, height: number): Box {
  const edge = (i: number, length: number) => Math.round((i * length) / n);
  const [column, row] = [index % n, Math.floor(index / n)];
  return [edge(column, width), edge(row, height), edge(column + 1, width), edge(row + 1, height)];
}

/** The share of the map in cell `index`. */
export const gridPointing = (map: HostMap, index: number, n: number): number =>
  energyPointing(map, maskOf([cellOf(index, n, map.width, map.height)], map.width, map.height)).energy;
