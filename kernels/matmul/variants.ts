// The ways to compute a matrix product, as plans, and which of them a product gets.

import type { Epilogue } from '../kernel.ts';
import type { PartsLaunch } from '../parts.ts';
import type { Plan, Step } from '../plan.ts';
import type { DeviceClass, Profile } from '../profile.ts';
import { addedUp } from '../reduce/reduce.ts';
import {
  asLines,
  asRows,
  type MatmulGeometry,
  type MatrixStrides,
  matmulDot,
  matmulNaive,
  matmulRows,
  matmulShared,
  matmulTiled,
  packedRows,
  packFactor,
} from './matmul.ts';

/** What the buffers of a product are called in the plan that it is part of. */
export interface ProductNames {
  readonly a: string;
  readonly b: string;
  readonly y: string;
}

/** A product of strided factors to be computed. */
interface Product {
  readonly g: MatmulGeometry;
  readonly epilogue: Epilogue;
  readonly profile: Profile;
  readonly names: ProductNames;
}

interface Row {
  readonly variant: string;
  /** The only class of devices that is given it; every one when left out. */
  readonly of?: DeviceClass;
  /** Where it gives the right result. */
  readonly allows: (g: MatmulGeometry, epilogue: Epilogue) => boolean;
  /** Where it is likely the fastest of the rows from here on. */
  readonly suits: (g: MatmulGeometry) => boolean;
  readonly plan: (product: Product) => Plan;
}

/** Multiply-adds below which tiles save less than their kernels cost to compile, or to pack the first factor for. */
const SMALL_PRODUCT = 16_384;
/** The same of packed factors where the product has one row, of which a tile makes four. */
const SMALL_ROW = 262_144;
/** Multiply-adds below which the rows of factors are read where they lie rather than packed for faster tiles. */
const LARGE_PRODUCT = 2_097_152;
/** Rows of which the faster tiles would leave most of theirs empty. */
const FEW_ROWS = 4;

const sizeOf = ({ m, n, k }: MatmulGeometry) => m * n * k;

/** The table of variants: the first that is allowed and that suits. */
export const matmulVariants = [
  {
    variant: 'dot',
    of: 'gpu',
    allows: () => true,
    suits: ({ m, n, k, a, b }) => Math.min(m, n) === 1 && k >= 32 && a.column === 1 && b.row === 1,
    plan: dot,
  },
  { variant: 'shared', of: 'gpu', allows: () => true, suits: ({ k }) => k >= 8, plan: shared },
  {
    variant: 'rows',
    of: 'software',
    allows: ({ k }, { bias }) => bias !== 'rows' && k % 4 === 0,
    suits: (g) => {
      const isLarge = g.m > FEW_ROWS && g.batch * sizeOf(g) >= LARGE_PRODUCT;
      return sizeOf(g) >= SMALL_PRODUCT && !isLarge && isVectors(g.a) && isVectors(turned(g.b));
    },
    plan: rows,
  },
  {
    variant: 'tiled',
    of: 'software',
    allows: () => true,
    suits: (g) => sizeOf(g) >= (g.m > 1 ? SMALL_PRODUCT : SMALL_ROW) && g.n >= 8 && g.k >= 4,
    plan: tiled,
  },
  { variant: 'naive', allows: () => true, suits: () => true, plan: naive },
] as const satisfies readonly Row[];

export type MatmulVariant = (typeof matmulVariants)[number]['variant'];

/** The plan of the variant that is likely the fastest. */
export function planMatmul(
  g: MatmulGeometry,
  epilogue: Epilogue,
  profile: Profile,
  names: ProductNames,
): Plan {
  const table: readonly Row[] = matmulVariants;
  const row = table.find(
    ({ variant, of = profile.class, allows, suits }) =>
      of === profile.class && !profile.without.has(variant) && allows(g, epilogue) && suits(g),
  );
  return (row?.plan ?? naive)({ g, epilogue, profile, names });
}

/** The steps of the product itself. */
const steps = (launch: PartsLaunch, factors: readonly string[], { g, epilogue, names }: Product): Plan =>
  addedUp(launch, factors, names.y, epilogue, { rows: g.m, columns: g.n });

function naive(product: Product): Plan {
  const { g, epilogue, names } = product;
  return steps(matmulNaive(g, epilogue), [names.a, names.b], product);
}

function dot(product: Product): Plan {
  const { g, epilogue, profile, names } = product;
  return steps(matmulDot(g, epilogue, profile), [names.a, names.b], product);
}

function shared(product: Product): Plan {
  const { g, epilogue, profile, names } = product;
  return steps(matmulShared(asLines(g), epilogue, profile), [names.a, names.b], product);
}

const turned = (strides: MatrixStrides): MatrixStrides => ({
  ...strides,
  row: strides.column,
  column: strides.row,
});

/** Whether the rows of a factor are runs of whole vec4. */
const isVectors = ({ batch, row, column }: MatrixStrides) => column === 1 && row % 4 === 0 && batch % 4 === 0;

/** Where a factor was read from: its buffer and strides, and the step that made it where it is a copy. */
interface Placed {
  readonly name: string;
  readonly strides: MatrixStrides;
  readonly steps: readonly Step[];
}

/**
 * A factor as [batch, rows, width], zeros beyond `columns`. A factor that the whole batch shares is most often a weight,
 * so its copy is kept.
 */
function packed(
  name: string,
  strides: MatrixStrides,
  size: { batch: number; rows: number; columns: number; width: number },
): Placed {
  const isShared = strides.batch === 0;
  const sized = packFactor({ ...size, batch: isShared ? 1 : size.batch }, strides);
  const writes = `${name} packed`;
  return {
    name: writes,
    strides: { batch: isShared ? 0 : size.rows * size.width, row: size.width, column: 1 },
    steps: [{ ...sized, reads: [name], writes, ...(isShared && { kept: true }) }],
  };
}

const inPlace = (name: string, strides: MatrixStrides): Placed => ({ name, strides, steps: [] });

function rows(product: Product): Plan {
  const { g, epilogue, profile, names } = product;
  const lines = (name: string, strides: MatrixStrides, rows: number) =>
    isVectors(strides)
      ? inPlace(name, strides)
      : packed(name, strides, { batch: g.batch, rows, columns: g.k, width: g.k });
  const a = lines(names.a, g.a, g.m);
  const b = lines(names.b, turned(g.b), g.n);
  const launch = matmulRows(asRows({ ...g, a: a.strides, b: turned(b.strides) }), epilogue, profile);
  return [...a.steps, ...b.steps, ...steps(launch, [a.name, b.name], product)];
}

function tiled(product: Product): Plan {
  const { g, epilogue, profile, names } = product;
  const { batch, m, n, k } = g;
  const a = packed(names.a, turned(g.a), { batch, rows: k, columns: m, width: packedRows(g) });
  const b = isVectors(g.b)
    ? inPlace(names.b, g.b)
    : packed(names.b, g.b, { batch, rows: k, columns: n, width: Math.ceil(n / 4) * 4 });
  const strides = { aBatch: a.strides.batch, bRow: b.strides.row, bBatch: b.strides.batch };
  const launch = matmulTiled(g, strides, epilogue, profile);
  return [...a.steps, ...b.steps, ...steps(launch, [a.name, b.name], product)];
}
