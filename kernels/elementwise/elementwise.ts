// Launches of the elementwise kernels.

import { bits, cover, type Launch, launch, WORKGROUP } from '../kernel.ts';

/** Functions of one element, in the order of the cases of unary.wgsl; `a` and `b` are its two parameters. */
export const unaryFunctions = [
  'neg',
  'exp',
  'log',
  'sqrt',
  'abs',
  'tanh',
  'sigmoid',
  'relu',
  'step',
  'sign',
  'reciprocal',
  'erf',
  'affine',
  'clamp',
  'inside',
  'power',
  'leakyRelu',
  'leakyStep',
  'softplus',
  'notFinite',
] as const;
export type UnaryFunction = (typeof unaryFunctions)[number];

/** Functions of two elements, in the order of the cases of binary.wgsl and broadcast.wgsl. */
export const binaryFunctions = [
  'add',
  'sub',
  'mul',
  'div',
  'max',
  'min',
  'pow',
  'greater',
  'atLeast',
  'equal',
  'addRelu',
] as const;
export type BinaryFunction = (typeof binaryFunctions)[number];

const VECTORS_PER_THREAD = 4;

/** f over `count` elements. */
export function unary(f: UnaryFunction, count: number, a = 0, b = 0): Launch {
  const vectors = Math.ceil(count / 4);
  return {
    kernel: 'unary',
    constants: { OP: unaryFunctions.indexOf(f) },
    params: [vectors, bits(a), bits(b)],
    workgroups: cover(vectors, WORKGROUP * VECTORS_PER_THREAD),
  };
}

/** f over two operands of `count` elements, or of one element where `aOne` or `bOne`. */
export function binary(f: BinaryFunction, count: number, aOne: boolean, bOne: boolean): Launch {
  const vectors = Math.ceil(count / 4);
  return {
    kernel: 'binary',
    constants: { OP: binaryFunctions.indexOf(f), A_ONE: Number(aOne), B_ONE: Number(bOne) },
    params: [vectors],
    workgroups: cover(vectors, WORKGROUP * VECTORS_PER_THREAD),
  };
}

/** A dimension of a broadcast: its size and the step in each operand. */
export interface BroadcastDim {
  readonly size: number;
  readonly a: number;
  readonly b: number;
}

/** f over two operands broadcast to the product of `dims`, outermost first, at most 8. */
export function broadcastBinary(f: BinaryFunction, dims: readonly BroadcastDim[]): Launch {
  const count = dims.reduce((product, dim) => product * dim.size, 1);
  const table = dims.flatMap(({ size, a, b }) => [size, a, b, 0]);
  return launch('broadcast', count, [count, 0, 0, 0, ...table], {
    OP: binaryFunctions.indexOf(f),
    RANK: dims.length,
  });
}
