// Launches of the kernels that move elements without computing.

import { type Launch, launch, loop } from '../kernel.ts';
import { blocks, manyParts, type PartsLaunch } from '../parts.ts';

/** One dimension of an index map; see strided.wgsl. Strides and sizes in elements. */
export interface StridedDim {
  readonly outputSize: number;
  readonly inputSize: number;
  readonly inputStride: number;
  readonly mul: number;
  readonly add: number;
  readonly div: number;
}

/** Whether every output coordinate maps to an input coordinate without division or bounds. */
function isPlain({ outputSize, inputSize, mul, add, div }: StridedDim): boolean {
  const [first, last] = [add, (outputSize - 1) * mul + add];
  return div === 1 && Math.min(first, last) >= 0 && Math.max(first, last) < inputSize;
}

/** Neighbouring axes that together are one: both repeated, or a range of one and the whole of the contiguous next. */
function merge(dims: readonly StridedDim[]): StridedDim[] {
  const merged: StridedDim[] = [];
  const isRange = ({ mul, div }: StridedDim) => mul === 1 && div === 1;
  const isWhole = (d: StridedDim) => isRange(d) && d.add === 0 && d.outputSize === d.inputSize;
  for (const dim of dims) {
    const outer = merged.at(-1);
    const repeated = outer?.mul === 0 && dim.mul === 0 && outer.add === 0 && dim.add === 0;
    const range =
      outer && isRange(outer) && isWhole(dim) && outer.inputStride === dim.inputSize * dim.inputStride;
    if (outer && (repeated || range)) {
      merged[merged.length - 1] = {
        ...dim,
        outputSize: outer.outputSize * dim.outputSize,
        inputSize: outer.inputSize * dim.inputSize,
        add: outer.add * dim.inputSize,
      };
    } else merged.push(dim);
  }
  return merged;
}

/** Whether the innermost axis is a run of whole vec4, each wholly inside the input or outside. */
function isVectorCopy(dims: readonly StridedDim[]): boolean {
  const inner = dims.at(-1);
  if (inner === undefined || inner.mul !== 1 || inner.div !== 1 || inner.inputStride !== 1) return false;
  const lengths = [inner.outputSize, inner.add, ...dims.slice(0, -1).map((dim) => dim.inputStride)];
  if (!isPlain(inner)) lengths.push(inner.inputSize);
  return lengths.every((n) => n % 4 === 0);
}

const inVectors = (dims: readonly StridedDim[]): StridedDim[] =>
  dims.map((dim, i) =>
    i < dims.length - 1
      ? { ...dim, inputStride: dim.inputStride / 4 }
      : { ...dim, outputSize: dim.outputSize / 4, inputSize: Math.ceil(dim.inputSize / 4), add: dim.add / 4 },
  );

/** An axis of one element. Maps of lower rank are filled up with it: fewer variants to compile. */
const ONE: StridedDim = { outputSize: 1, inputSize: 1, inputStride: 0, mul: 1, add: 0, div: 1 };
const LOWEST_RANK = 2;

/**
 * Copy through an index map of at most 8 dimensions, outermost first; outside the input it gives `fill`. Numbers are
 * multiplied by `scale`; 1 copies bits, of any type.
 */
export function strided(axes: readonly StridedDim[], fill = 0, scale = 1): Launch {
  const merged = merge(axes);
  const vectors = isVectorCopy(merged);
  const dims = vectors ? inVectors(merged) : merged;
  while (dims.length < LOWEST_RANK) dims.unshift(ONE);
  const count = dims.reduce((product, dim) => product * dim.outputSize, 1);
  const table = dims.flatMap((dim) => [
    ...[dim.outputSize, dim.inputSize, dim.inputStride, 0],
    ...[dim.mul, dim.add, dim.div, 0],
  ]);
  return launch(
    vectors ? 'stridedVectors' : 'strided',
    count,
    { count, fill, scale, dims: table },
    {
      RANK: dims.length,
      PLAIN: Number(dims.every(isPlain)),
      SCALED: Number(scale !== 1),
    },
  );
}

/** Vec4 that a thread of place-vectors.wgsl copies. */
const VECTORS_PER_THREAD = 4;

/** (a [outer, n, inner], b [outer, m, inner]) side by side into [outer, total, inner] at `offset`; m may be 0. */
export function place(
  outer: number,
  [n, m]: readonly [n: number, m: number],
  inner: number,
  total: number,
  offset: number,
): Launch {
  const sizes = { aRun: n * inner, bRun: m * inner, row: total * inner, start: offset * inner };
  const count = outer * (sizes.aRun + sizes.bRun);
  const constants = { PAIRED: Number(m > 0) };
  if (Object.values(sizes).some((size) => size % 4 !== 0))
    return launch('place', count, { count, ...sizes }, constants);
  const vectors = Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, size / 4]));
  const threads = Math.ceil(count / 4 / VECTORS_PER_THREAD);
  return launch(
    'placeVectors',
    threads,
    { count: count / 4, ...vectors },
    constants,
    loop(VECTORS_PER_THREAD),
  );
}

/** [outer, n, inner] by m indices -> [outer, m, inner]. */
export function take(outer: number, n: number, inner: number, m: number): Launch {
  const count = outer * m * inner;
  return launch('take', count, { count, n, inner, m });
}

/** Adjoint of `take`: [outer, m, inner] -> [outer, n, inner]; its parts add up. */
export function put(outer: number, n: number, inner: number, m: number): PartsLaunch {
  const elements = outer * n * inner;
  const { parts, chunk } = manyParts(elements, m);
  const count = parts * elements;
  const params = { count, n, inner, m, results: elements, chunk };
  return { launch: launch('put', count, params, {}, blocks(chunk)), parts, elements };
}

/** [outer, n, inner] by [outer, m, inner] indices -> [outer, m, inner]. */
export function selectAlong(outer: number, n: number, inner: number, m = 1): Launch {
  const count = outer * m * inner;
  return launch('selectAlong', count, { count, n, inner, m });
}

/** Adjoint of `selectAlong` for m = 1: [outer, inner] -> [outer, n, inner]. */
export function spreadAlong(outer: number, n: number, inner: number): Launch {
  const count = outer * n * inner;
  return launch('spreadAlong', count, { count, n, inner });
}
