// Launches of the matrix product kernels.

import {
  type Constants,
  type Epilogue,
  epilogueConstants,
  epilogueWords,
  type Launch,
  launch,
  launchTiles,
  type SizedLaunch,
} from '../kernel.ts';

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

type Size = Omit<MatmulGeometry, 'a' | 'b'>;

/** By the definition, any strides. */
export function matmulNaive(g: MatmulGeometry, epilogue: Epilogue): Launch {
  const count = g.batch * g.m * g.n;
  const strides = [g.a, g.b].flatMap((s) => [s.batch, s.row, s.column]);
  const params = [count, g.m, g.n, g.k, ...strides, ...epilogueWords(epilogue)];
  return launch('matmulNaive', count, params, epilogueConstants(epilogue));
}

/** Multiply-adds below which packing the first factor costs more than the tiles save. */
const SMALL_PRODUCT = 16_384;
/** The same where the product has one row, of which a tile makes four. */
const SMALL_ROW = 262_144;

/** Whether the register-tiled variant pays. */
export function isTiledMatmul(g: MatmulGeometry): boolean {
  return g.n >= 8 && g.k >= 4 && g.m * g.n * g.k >= (g.m === 1 ? SMALL_ROW : SMALL_PRODUCT);
}

/** Rows and columns of the product that one thread computes. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Tiles, and what a multiply-add costs in each relative to the best: fewer reads in large ones. Measured on llvmpipe
 * (`npm run tune`); a product takes the tile that is cheapest once its size is rounded up to whole tiles.
 */
export const tiles: readonly (Tile & { readonly cost: number })[] = [
  { rows: 16, columns: 16, cost: 1 },
  { rows: 16, columns: 8, cost: 1.25 },
  { rows: 4, columns: 8, cost: 2.1 },
  { rows: 16, columns: 4, cost: 1.6 },
];
/** Tiles below which a smaller one keeps more of the device busy. */
const ENOUGH_TILES = 64;

function tileOf(g: Size): Tile {
  const cost = (tile: (typeof tiles)[number]) => {
    const count = g.batch * Math.ceil(g.m / tile.rows) * Math.ceil(g.n / tile.columns);
    return Math.max(count, ENOUGH_TILES) * tile.rows * tile.columns * tile.cost;
  };
  return tiles
    .filter((tile) => tile.rows <= packedRows(g))
    .reduce((best, tile) => (cost(tile) < cost(best) ? tile : best));
}

/**
 * The first factor is packed [batch, k, m] with its rows padded to whole tiles of any kind that may be used: a few rows
 * get small tiles.
 */
export const packedRows = ({ m }: Pick<MatmulGeometry, 'm'>): number => (m <= 4 ? 4 : Math.ceil(m / 16) * 16);

/** A factor of any strides as [batch, rows, width] for the tiled variant, zeros beyond `columns`; width is whole vec4. */
export function packFactor(
  size: { batch: number; rows: number; columns: number; width: number },
  strides: MatrixStrides,
): SizedLaunch {
  const elements = size.batch * size.rows * size.width;
  const words = [size.rows, size.width / 4, size.columns, strides.batch, strides.row, strides.column];
  return { launch: launch('packFactor', elements / 4, [elements / 4, ...words]), elements };
}

/** Whether the second factor can be read as it lies: rows of whole vec4. */
export function isVectorRows({ b }: MatmulGeometry): boolean {
  return b.column === 1 && b.row % 4 === 0 && b.batch % 4 === 0;
}

/**
 * (a as [batch, k, packedRows], b in rows of `bRow` elements, bias, summand) -> y. Batch strides of the packed factors are in
 * elements, 0 where shared.
 */
export function matmulTiled(
  g: Size,
  packed: { aBatch: number; bRow: number; bBatch: number },
  epilogue: Epilogue,
  { rows, columns }: Tile = tileOf(g),
): Launch {
  const [tilesM, tilesN] = [Math.ceil(g.m / rows), Math.ceil(g.n / columns)];
  const count = g.batch * tilesM * tilesN;
  const strides = [packedRows(g), packed.bRow, packed.aBatch, packed.bBatch].map((n) => n / 4);
  const params = [count, g.m, g.n, g.k, ...strides, tilesM, tilesN, ...epilogueWords(epilogue)];
  const constants = { ...matmulConstants(rows, columns), ...epilogueConstants(epilogue) };
  return launchTiles('matmulTiled', count, params, constants);
}

/** Constants of matmul-tiled.wgsl. */
export function matmulConstants(rows: number, columns: number): Constants {
  return {
    ROW_VECTORS: rows / 4,
    COLUMN_VECTORS: columns / 4,
    SUMS: (rows * columns) / 4,
    LATER: (rows * columns) / 4 - columns,
    NEXT: (3 * columns) / 4,
  };
}
