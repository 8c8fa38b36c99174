// Launches of the matrix product kernels.

import { type Launch, launch } from '../kernel.ts';

/** One factor: elements between batches (0: shared), rows and columns. */
export interface MatrixStrides {
  readonly batch: number;
  readonly row: number;
  readonly column: number;
}

/** y [batch, m, n] = a [batch, m, k] b [batch, k, n]. */
export interface MatmulGeometry {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: MatrixStrides;
  readonly b: MatrixStrides;
}

/** By the definition, any strides. */
export function matmulNaive(g: MatmulGeometry): Launch {
  const count = g.batch * g.m * g.n;
  const strides = [g.a, g.b].flatMap((s) => [s.batch, s.row, s.column]);
  return launch('matmulNaive', count, [count, g.m, g.n, g.k, ...strides]);
}

/** Multiply-adds below which packing the factors costs more than the tiles save. */
const SMALL_PRODUCT = 16_384;

/** Whether the register-tiled variant pays. */
export function isTiledMatmul(g: MatmulGeometry): boolean {
  return g.m >= 4 && g.n >= 8 && g.k >= 4 && g.m * g.n * g.k >= SMALL_PRODUCT;
}

/** Rows of the first factor are padded to this many for the tiled variant. */
export const TILE_ROWS = 8;

/** Whether the second factor can be read as it lies: rows of whole vec4. */
export function isVectorRows(g: MatmulGeometry): boolean {
  return g.b.column === 1 && g.b.row % 4 === 0 && g.b.batch % 4 === 0;
}

/**
 * (a as [batch, k, paddedM], b in rows of `bRow` elements) -> y. Batch strides of the packed factors are in elements,
 * 0 where shared.
 */
export function matmulTiled(
  g: MatmulGeometry,
  packed: { paddedM: number; aBatch: number; bRow: number; bBatch: number },
): Launch {
  // Wide tiles need few reads, narrow ones leave more threads on small products.
  const wide = Math.ceil(g.m / TILE_ROWS) * Math.ceil(g.n / 16) * g.batch >= 64;
  const columnVectors = wide ? 4 : 2;
  const tilesM = Math.ceil(g.m / TILE_ROWS);
  const tilesN = Math.ceil(g.n / (4 * columnVectors));
  const count = g.batch * tilesM * tilesN;
  const strides = [packed.paddedM, packed.bRow, packed.aBatch, packed.bBatch].map((n) => n / 4);
  return launch('matmulTiled', count, [count, g.m, g.n, g.k, ...strides, tilesM, tilesN], {
    COLUMN_VECTORS: columnVectors,
    SUMS: 8 * columnVectors,
  });
}
