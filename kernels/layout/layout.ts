// Launches of the kernels that move elements without computing.

import { type Launch, launch, signed } from '../kernel.ts';

/** One dimension of an index map; see strided.wgsl. Strides and sizes in elements. */
export interface StridedDim {
  readonly outputSize: number;
  readonly inputSize: number;
  readonly inputStride: number;
  readonly mul: number;
  readonly add: number;
  readonly div: number;
}

/** Copy through an index map of at most 8 dimensions, outermost first; `fill` is the bits of what lies outside. */
export function strided(dims: readonly StridedDim[], fill = 0): Launch {
  const count = dims.reduce((product, dim) => product * dim.outputSize, 1);
  const table = dims.flatMap((dim) =>
    [dim.outputSize, dim.inputSize, dim.inputStride, 0, dim.mul, dim.add, dim.div, 0].map(signed),
  );
  return launch('strided', count, [count, fill, 0, 0, ...table], { RANK: dims.length });
}

/** [outer, n, inner] into [outer, total, inner] at `offset`. */
export function place(outer: number, n: number, inner: number, total: number, offset: number): Launch {
  return launch('place', outer * n * inner, [outer * n * inner, n, inner, total, offset]);
}

/** [outer, n, inner] by m indices -> [outer, m, inner]. */
export function take(outer: number, n: number, inner: number, m: number): Launch {
  return launch('take', outer * m * inner, [outer * m * inner, n, inner, m]);
}

/** Adjoint of `take`: [outer, m, inner] -> [outer, n, inner]. */
export function put(outer: number, n: number, inner: number, m: number): Launch {
  return launch('put', outer * n * inner, [outer * n * inner, n, inner, m]);
}

/** [outer, n, inner] by [outer, inner] indices -> [outer, inner]. */
export function selectAlong(outer: number, n: number, inner: number): Launch {
  return launch('selectAlong', outer * inner, [outer * inner, n, inner]);
}

/** Adjoint of `selectAlong`: [outer, inner] -> [outer, n, inner]. */
export function spreadAlong(outer: number, n: number, inner: number): Launch {
  return launch('spreadAlong', outer * n * inner, [outer * n * inner, n, inner]);
}
