// What a row of elementwise.ts becomes: an operation with its kernel and its derivative.

import * as kernels from '../../kernels/elementwise/elementwise.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import type { Passing } from '../facts.ts';
import { apply, type Operation } from '../operation.ts';
import { type Shape, sameShape, show, type Tensor } from '../tensor.ts';
import { broadcastShape } from './axes.ts';
import { sumTo } from './linear.ts';

/** Two numbers that a function of one element may have. */
interface Parameters {
  readonly a: number;
  readonly b: number;
}

/** A function of one element, its derivative beside it. */
export interface UnaryRow extends kernels.UnaryFunction, Passing<Parameters> {
  readonly name: string;
  /** The cotangent of x from `d`, that of y = f(x); left out where the derivative is 0 everywhere. */
  readonly vjp?: (d: Tensor, x: Tensor, y: Tensor, p: Parameters) => Tensor;
}

/** A function of two elements, its derivatives beside it. */
export interface BinaryRow extends kernels.BinaryFunction, Passing<undefined> {
  readonly name: string;
  /** Cotangents of the operands, before they are summed to their shapes; undefined where the derivative is 0. */
  readonly vjp?: (
    d: Tensor,
    a: Tensor,
    b: Tensor,
    y: Tensor,
  ) => readonly [(() => Tensor) | undefined, (() => Tensor) | undefined];
}

/** Every row that was defined, for those who go through them all. */
export const rows: { readonly unary: UnaryRow[]; readonly binary: BinaryRow[] } = { unary: [], binary: [] };

export function unary(row: UnaryRow): (x: Tensor, a?: number, b?: number) => Tensor {
  rows.unary.push(row);
  const { vjp } = row;
  const operation: Operation<Parameters> = {
    ...row,
    shape: ([x]) => x!.shape,
    forward: ([x], y, { a, b }) => run(y.device, kernels.unary(row, y.size, a, b), [x!.storage], y.storage),
    vjp: vjp && ((d, { inputs, output, attributes }) => [vjp(d, inputs[0]!, output, attributes)]),
  };
  return (x, a = 0, b = 0) => apply(operation, [x], { a, b });
}

export function binary(row: BinaryRow): (a: Tensor, b: Tensor) => Tensor {
  rows.binary.push(row);
  const { name, vjp } = row;
  const operation: Operation<undefined> = {
    ...row,
    shape: ([a, b]) => broadcastShape(name, a!.shape, b!.shape),
    forward: ([a, b], y) => {
      const elementwise = (x: Tensor) => x.size === 1 || sameShape(x.shape, y.shape);
      const launch =
        elementwise(a!) && elementwise(b!)
          ? kernels.binary(row, y.size, a!.size === 1, b!.size === 1)
          : kernels.broadcastBinary(row, broadcastDims(a!.shape, b!.shape, y.shape));
      run(y.device, launch, [a!.storage, b!.storage], y.storage);
    },
    vjp:
      vjp &&
      ((d, { inputs, output, needs }) => {
        const [a, b] = inputs as [Tensor, Tensor];
        const parts = vjp(d, a, b, output);
        return [a, b].map((input, i) => {
          const part = needs[i] ? parts[i]?.() : undefined;
          return part && sumTo(part, input.shape);
        });
      }),
  };
  return (a, b) => apply(operation, [a, b], undefined);
}

/** Strides for broadcasting, neighbouring axes that behave alike merged into one. */
function broadcastDims(a: Shape, b: Shape, shape: Shape): kernels.BroadcastDim[] {
  const dims: { size: number; a: number; b: number }[] = [];
  let strideA = 1;
  let strideB = 1;
  for (let axis = 1; axis <= shape.length; axis++) {
    const size = shape[shape.length - axis]!;
    const m = a[a.length - axis] ?? 1;
    const n = b[b.length - axis] ?? 1;
    if (size !== 1) {
      const dim = { size, a: m === 1 ? 0 : strideA, b: n === 1 ? 0 : strideB };
      const inner = dims[0];
      const merges = inner && dim.a === inner.a * inner.size && dim.b === inner.b * inner.size;
      if (merges) inner.size *= size;
      else dims.unshift(dim);
    }
    strideA *= m;
    strideB *= n;
  }
  if (dims.length > 8) throw new ShapeError(`broadcasting to ${show(shape)} needs more than 8 axes`);
  return dims;
}
