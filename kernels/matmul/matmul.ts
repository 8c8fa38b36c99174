// Launches of the matrix product kernels.

import {
  type Constants,
  type Epilogue,
  epilogueConstants,
  epilogueParams,
  type Launch,
  launch,
  launchGroups,
  launchTiles,
  loop,
  NO_EPILOGUE,
  type Params,
  type SizedLaunch,
} from '../kernel.ts';
import { BLOCK, groupLoop, manyParts, type PartsLaunch, shortParts } from '../parts.ts';
import { figuresOf, type Profile } from '../profile.ts';

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

/** Steps of a sum from which those of BLOCK steps are made first; fewer keep their digits as they are. */
const MANY_STEPS = 4 * BLOCK;

/** A product whose `steps`, of which a thread takes one after the other, are cut into parts where there are many. */
function inParts(
  { batch, m, n }: Size,
  steps: number,
  epilogue: Epilogue,
  launchOf: (
    parts: number,
    fields: { batch: number; m: number; n: number; k: number; chunk: number; block: number },
    applied: Epilogue,
    iterations: number,
  ) => Launch,
  { parts, chunk } = shortParts(steps),
): PartsLaunch {
  const block = chunk > MANY_STEPS ? BLOCK : chunk;
  const applied = parts === 1 ? epilogue : NO_EPILOGUE;
  const iterations = loop(Math.ceil(chunk / block), loop(block));
  const fields = { batch, m, n, k: steps, chunk, block };
  return { launch: launchOf(parts, fields, applied, iterations), parts, elements: batch * m * n };
}

/** TOTALS of a kernel that keeps some sums. */
const totals = ({ chunk, block }: { chunk: number; block: number }, sums: number) =>
  block < chunk ? sums : 0;

/** By the definition, any strides. */
export const matmulNaive = (g: MatmulGeometry, epilogue: Epilogue): PartsLaunch =>
  inParts(g, g.k, epilogue, (parts, fields, applied, iterations) => {
    const { a, b } = g;
    const count = parts * g.batch * g.m * g.n;
    const params = {
      count,
      ...fields,
      aBatch: a.batch,
      aRow: a.row,
      aColumn: a.column,
      bBatch: b.batch,
      bRow: b.row,
      bColumn: b.column,
      ...epilogueParams(applied),
    };
    return launch('matmulNaive', count, params, epilogueConstants(applied), iterations);
  });

/** By the definition, a result a workgroup. */
export function matmulDot(g: MatmulGeometry, epilogue: Epilogue, profile: Profile): PartsLaunch {
  const { batch, m, n, k, a, b } = g;
  const elements = batch * m * n;
  const { parts, chunk } = manyParts(elements, k, figuresOf(profile).enoughTiles);
  const own = parts === 1 ? epilogue : NO_EPILOGUE;
  const count = parts * elements;
  const params = {
    ...{ count, batch, m, n, k, chunk },
    ...{ aBatch: a.batch, aRow: a.row, aColumn: a.column },
    ...{ bBatch: b.batch, bRow: b.row, bColumn: b.column },
    ...epilogueParams(own),
  };
  const launch = launchGroups('matmulDot', count, params, epilogueConstants(own), groupLoop(chunk));
  return { launch, parts, elements };
}

/** Rows and columns of the product that one thread computes. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Tiles, and what a multiply-add costs in each relative to the best: fewer reads in large ones. Measured on llvmpipe;
 * a product takes the tile that is cheapest once its size is rounded up to whole tiles.
 */
export const tiles: readonly (Tile & { readonly cost: number })[] = [
  { rows: 16, columns: 16, cost: 1 },
  { rows: 16, columns: 8, cost: 1.25 },
  { rows: 4, columns: 8, cost: 2.1 },
  { rows: 16, columns: 4, cost: 1.6 },
];

/** The cheapest tile of a list. */
function tileOf(g: Size, list: readonly (Tile & { readonly cost: number })[], profile: Profile): Tile {
  const { enoughTiles, tileCosts } = figuresOf(profile);
  const cost = (tile: (typeof list)[number]) => {
    const count = g.batch * Math.ceil(g.m / tile.rows) * Math.ceil(g.n / tile.columns);
    return Math.max(count, enoughTiles) * tile.rows * tile.columns * tile.cost ** tileCosts;
  };
  return list.reduce((best, tile) => (cost(tile) < cost(best) ? tile : best));
}

/**
 * The first factor is packed [batch, k, m] with its rows padded to whole tiles of any kind that may be used: a few rows
 * get small tiles.
 */
export const packedRows = ({ m }: Pick<MatmulGeometry, 'm'>): number => (m <= 4 ? 4 : Math.ceil(m / 16) * 16);

const packedTile = (g: Size, profile: Profile): Tile =>
  tileOf(
    g,
    tiles.filter(({ rows }) => rows <= packedRows(g)),
    profile,
  );

/** A factor of any strides as [batch, rows, width] for the tiled variant, zeros beyond `columns`; width is whole vec4. */
export function packFactor(
  size: { batch: number; rows: number; columns: number; width: number },
  strides: MatrixStrides,
): SizedLaunch {
  const { rows, columns, width } = size;
  const elements = size.batch * rows * width;
  const count = elements / 4;
  const { batch: batchStride, row: rowStride, column: columnStride } = strides;
  const params = { count, rows, vectors: width / 4, columns, batchStride, rowStride, columnStride };
  return { launch: launch('packFactor', count, params), elements };
}

/**
 * (a as [batch, k, packedRows], b in rows of `bRow` elements, bias, summand) -> y. Batch strides of the packed factors are in
 * elements, 0 where shared.
 */
export function matmulTiled(
  g: Size,
  packed: { aBatch: number; bRow: number; bBatch: number },
  epilogue: Epilogue,
  profile: Profile,
  tile: Tile = packedTile(g, profile),
): PartsLaunch {
  const { rows, columns } = tile;
  const [tilesM, tilesN] = [Math.ceil(g.m / rows), Math.ceil(g.n / columns)];
  const [aVectors, bVectors] = [packedRows(g) / 4, packed.bRow / 4];
  const [aBatch, bBatch] = [packed.aBatch / 4, packed.bBatch / 4];
  return inParts(g, g.k, epilogue, (parts, fields, applied, iterations) => {
    const count = parts * g.batch * tilesM * tilesN;
    const params = {
      count,
      ...fields,
      aVectors,
      bVectors,
      aBatch,
      bBatch,
      tilesM,
      tilesN,
      ...epilogueParams(applied),
    };
    const sizes = matmulConstants(rows, columns);
    const constants = {
      ...sizes,
      TOTALS: totals(fields, sizes.SUMS),
      COLUMNS_BIASED: Number(applied.bias === 'columns'),
      ...epilogueConstants(applied),
    };
    return launchTiles('matmulTiled', count, params, constants, iterations + loop(rows / 4, loop(4)));
  });
}

/** Constants of matmul-tiled.wgsl. */
export function matmulConstants(rows: number, columns: number) {
  return {
    ROW_VECTORS: rows / 4,
    COLUMN_VECTORS: columns / 4,
    SUMS: (rows * columns) / 4,
    LATER: (rows * columns) / 4 - columns,
    NEXT: (3 * columns) / 4,
  };
}

/** Where the rows of a factor lie: the first one, and elements between wholes, pieces of a whole, and rows. */
export interface RowStrides {
  readonly first: number;
  readonly whole: number;
  readonly piece: number;
  readonly row: number;
}

/** y [batch, m, n] = scale a [batch, m, k] b [batch, n, k]^T; a batch is `pieces` pieces of each of some wholes. */
export interface RowsGeometry extends Size {
  readonly pieces: number;
  readonly a: RowStrides;
  readonly b: RowStrides;
  readonly scale: number;
}

/** A product of strided factors as one of rows. */
export function asRows({ a, b, ...size }: MatmulGeometry): RowsGeometry {
  const rows = (whole: number, row: number) => ({ first: 0, whole, piece: 0, row });
  return { ...size, pieces: 1, a: rows(a.batch, a.row), b: rows(b.batch, b.column), scale: 1 };
}

/** Tiles of products of rows with rows, as `tiles`. */
export const rowTiles: typeof tiles = [
  { rows: 16, columns: 8, cost: 1 },
  { rows: 4, columns: 8, cost: 1.45 },
  { rows: 1, columns: 4, cost: 4.9 },
];

/** (a, b, bias, summand) -> y; a bias goes along columns. All strides and k are whole vec4. */
export function matmulRows(g: RowsGeometry, epilogue: Epilogue, profile: Profile): PartsLaunch {
  const tile = tileOf(g, rowTiles, profile);
  const [tilesM, tilesN] = [Math.ceil(g.m / tile.rows), Math.ceil(g.n / tile.columns)];
  const { pieces, a, b, scale } = g;
  return inParts(g, g.k / 4, epilogue, (parts, fields, applied, iterations) => {
    const count = parts * g.batch * tilesM * tilesN;
    const params = {
      count,
      ...fields,
      tilesM,
      tilesN,
      pieces,
      scale,
      aFirst: a.first / 4,
      aWhole: a.whole / 4,
      aPiece: a.piece / 4,
      aRow: a.row / 4,
      bFirst: b.first / 4,
      bWhole: b.whole / 4,
      bPiece: b.piece / 4,
      bRow: b.row / 4,
      ...epilogueParams(applied),
    };
    const sizes = rowConstants(tile);
    const constants = { ...sizes, TOTALS: totals(fields, sizes.SUMS), ...epilogueConstants(applied) };
    return launchTiles('matmulRows', count, params, constants, iterations + loop(tile.rows));
  });
}

/** Constants of matmul-rows.wgsl. */
export function rowConstants({ rows, columns }: Tile) {
  const vectors = columns / 4;
  return { ROWS: rows, COLUMN_VECTORS: vectors, SUMS: rows * vectors, LATER: (rows - 1) * vectors };
}

/** Where the lines of a factor lie, its rows or for the second one its columns, and elements between neighbours on a line. */
export interface LineStrides extends RowStrides {
  readonly step: number;
}

/** As `RowsGeometry`, of lines whose elements need not be neighbours. */
export interface LinesGeometry extends Omit<RowsGeometry, 'a' | 'b'> {
  readonly a: LineStrides;
  readonly b: LineStrides;
}

/** A product of strided factors as one of lines. */
export function asLines({ a, b, ...size }: MatmulGeometry): LinesGeometry {
  const lines = (whole: number, row: number, step: number) => ({ first: 0, whole, piece: 0, row, step });
  return {
    ...size,
    pieces: 1,
    scale: 1,
    a: lines(a.batch, a.row, a.column),
    b: lines(b.batch, b.column, b.row),
  };
}

/**
 * Tiles of a workgroup, as `tiles`; a thread computes 4 x 4. The costs are not measured: larger ones read less, and all of
 * them are a second to how many workgroups there are.
 */
export const sharedTiles: typeof tiles = [
  { rows: 64, columns: 64, cost: 1 },
  { rows: 32, columns: 32, cost: 1.3 },
  { rows: 16, columns: 64, cost: 1.5 },
];

/** Steps of k whose factors lie in workgroup memory at once: STEP in product.wgsl. */
const STEP = 16;

/** Parts that a sum must have to be cut only for having enough tiles: fewer save less than the launch that adds them up. */
const WORTH_CUTTING = 4;

/** Constants of product.wgsl. */
export const sharedConstants = ({ rows, columns }: Tile) => ({
  THREADS_M: rows / 4,
  THREADS_N: columns / 4,
  A_LOADS: (4 * STEP) / columns,
  B_LOADS: (4 * STEP) / rows,
});

/** What a kernel made with product.wgsl says of its factors. */
export interface SharedFactors {
  readonly kernel: string;
  /** Whether neighbours on a line are neighbours in memory; else neighbouring lines are. */
  readonly along: { readonly a: boolean; readonly b: boolean };
  readonly params: Params;
  readonly constants?: Constants;
}

/** A product through workgroup memory: (a, b, bias, summand) -> y, a bias of its own for each of the `pieces`. */
export function sharedProduct(
  g: Size & { readonly pieces: number },
  { kernel, along, params, constants }: SharedFactors,
  epilogue: Epilogue,
  profile: Profile,
): PartsLaunch {
  const { enoughTiles, shortestPart } = figuresOf(profile);
  const tile = tileOf(g, sharedTiles, profile);
  const [tilesM, tilesN] = [Math.ceil(g.m / tile.rows), Math.ceil(g.n / tile.columns)];
  const groups = g.batch * tilesM * tilesN;
  return inParts(
    g,
    g.k,
    epilogue,
    (parts, fields, applied, iterations) =>
      launchGroups(
        kernel,
        parts * groups,
        {
          count: parts * groups,
          ...fields,
          pieces: g.pieces,
          tilesM,
          tilesN,
          ...params,
          ...epilogueParams(applied),
        },
        {
          ...constants,
          ...sharedConstants(tile),
          A_ALONG_K: Number(along.a),
          B_ALONG_K: Number(along.b),
          TOTALS: totals(fields, 4),
          ...epilogueConstants(applied),
        },
        iterations + loop(4),
        (tile.rows * tile.columns) / 16,
      ),
    g.k < WORTH_CUTTING * shortestPart ? undefined : manyParts(groups, g.k, enoughTiles, shortestPart),
  );
}

/** A product through workgroup memory of factors that lie where they lie. */
export function matmulShared(
  { a, b, scale, ...g }: LinesGeometry,
  epilogue: Epilogue,
  profile: Profile,
): PartsLaunch {
  const params = {
    scale,
    aFirst: a.first,
    aWhole: a.whole,
    aPiece: a.piece,
    aRow: a.row,
    aColumn: a.step,
    bFirst: b.first,
    bWhole: b.whole,
    bPiece: b.piece,
    bRow: b.step,
    bColumn: b.row,
  };
  const along = { a: a.step === 1, b: b.step === 1 };
  return sharedProduct(g, { kernel: 'matmulShared', along, params }, epilogue, profile);
}

/** A product of factors packed as for `matmulTiled`: by that, or on a GPU through workgroup memory. */
export function packedProduct(
  g: Size,
  packed: { aBatch: number; bRow: number; bBatch: number },
  epilogue: Epilogue,
  profile: Profile,
): PartsLaunch {
  if (profile.class === 'software') return matmulTiled(g, packed, epilogue, profile);
  const a = { batch: packed.aBatch, row: 1, column: packedRows(g) };
  const b = { batch: packed.bBatch, row: packed.bRow, column: 1 };
  return matmulShared(asLines({ ...g, a, b }), epilogue, profile);
}
