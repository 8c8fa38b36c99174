// Launches of the elementwise kernels.

import { type Constants, type Launch, launch, loop } from '../kernel.ts';

/** A function of one element as a WGSL expression in `v`, four elements, with two parameters `p.a` and `p.b`. */
export interface UnaryFunction {
  readonly wgsl: string;
  /** The least number that it is defined for; it is NaN of lesser ones. All numbers when left out. */
  readonly from?: number;
  /** WGSL of its value where an argument is NaN; NaN when left out. */
  readonly ofNan?: string;
}

/** A function of two elements as a WGSL expression in `u` and `v`, four elements each. */
export interface BinaryFunction {
  readonly wgsl: string;
}

const VECTORS_PER_THREAD = 4;
const LOOP = loop(VECTORS_PER_THREAD);

/** f over `count` elements. */
export function unary(f: UnaryFunction, count: number, a = 0, b = 0): Launch {
  const vectors = Math.ceil(count / 4);
  const threads = Math.ceil(vectors / VECTORS_PER_THREAD);
  return launch('unary', threads, { vectors, a, b }, unaryConstants(f), LOOP);
}

/** Constants of unary.wgsl. */
export const unaryConstants = ({ wgsl, from, ofNan }: UnaryFunction): Constants => ({
  f: wgsl,
  ...(from !== undefined && { isUndefined: `v < vec4f(${from})` }),
  ...(ofNan !== undefined && { ofNan }),
});

/** f over two operands of `count` elements, or of one element where `aOne` or `bOne`. */
export function binary(f: BinaryFunction, count: number, aOne: boolean, bOne: boolean): Launch {
  const vectors = Math.ceil(count / 4);
  const constants = { f: f.wgsl, A_ONE: Number(aOne), B_ONE: Number(bOne) };
  return launch('binary', Math.ceil(vectors / VECTORS_PER_THREAD), { vectors }, constants, LOOP);
}

/** A dimension of a broadcast: its size and the step in each operand. */
export interface BroadcastDim {
  readonly size: number;
  readonly a: number;
  readonly b: number;
}

/** f over two operands broadcast to the product of `dims`, outermost first, at most 8. */
export function broadcastBinary(f: BinaryFunction, dims: readonly BroadcastDim[]): Launch {
  if (isVectorBroadcast(dims)) return broadcastVectors(f, dims);
  const count = dims.reduce((product, dim) => product * dim.size, 1);
  const table = dims.flatMap(({ size, a, b }) => [size, a, b, 0]);
  return launch(
    'broadcast',
    count,
    { count, dims: table },
    {
      f: f.wgsl,
      RANK: dims.length,
    },
  );
}

const operands = ['a', 'b'] as const;

/** Whether the innermost dimension is whole vec4, and every line of an operand along it begins with one. */
function isVectorBroadcast(dims: readonly BroadcastDim[]): boolean {
  const inner = dims.at(-1);
  if (inner === undefined || inner.size % 4 !== 0) return false;
  return operands.every((x) => inner[x] === 0 || dims.slice(0, -1).every((dim) => dim[x] % 4 === 0));
}

function broadcastVectors(f: BinaryFunction, dims: readonly BroadcastDim[]): Launch {
  const inner = dims.at(-1)!;
  const strides = (dim: BroadcastDim) =>
    operands.map((x) => (inner[x] === 0 || dim === inner ? dim[x] : dim[x] / 4));
  const sizes = dims.map((dim) => (dim === inner ? dim.size / 4 : dim.size));
  const count = sizes.reduce((product, size) => product * size, 1);
  const table = dims.flatMap((dim, i) => [sizes[i]!, ...strides(dim), 0]);
  return launch(
    'broadcastVectors',
    Math.ceil(count / VECTORS_PER_THREAD),
    { count, dims: table },
    {
      f: f.wgsl,
      RANK: dims.length,
      A_ONE: Number(inner.a === 0),
      B_ONE: Number(inner.b === 0),
    },
    LOOP,
  );
}
