// Matrix products. One operation with transposition flags is closed under differentiation.

import { strided } from '../../kernels/layout/layout.ts';
import * as kernels from '../../kernels/matmul/matmul.ts';
import { type Device, run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import type { Storage } from '../memory.ts';
import { apply, type Operation } from '../operation.ts';
import { empty, type Shape, show, sizeOf, type Tensor } from '../tensor.ts';
import { broadcastShape } from './elementwise.ts';
import { reshape } from './layout.ts';
import { sumTo } from './reduce.ts';

interface MatmulAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const matrix = (shape: Shape, transposed: boolean): [number, number] => {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
};

const product: Operation<MatmulAttributes> = {
  name: 'matmul',
  shape: ([a, b], { transposeA, transposeB }) => {
    const [m, k] = matrix(a!.shape, transposeA);
    const [l, n] = matrix(b!.shape, transposeB);
    if (k !== l) {
      throw new ShapeError(
        `matmul: ${show(a!.shape)} and ${show(b!.shape)}: inner sizes ${k} and ${l} differ`,
      );
    }
    return [...broadcastShape('matmul', a!.shape.slice(0, -2), b!.shape.slice(0, -2)), m, n];
  },
  forward: ([a, b], y, { transposeA, transposeB }) => {
    const [m, k] = matrix(a!.shape, transposeA);
    const [, n] = matrix(b!.shape, transposeB);
    const batch = sizeOf(y.shape.slice(0, -2));
    const strides = (x: Tensor, transposed: boolean) => {
      const width = x.shape.at(-1)!;
      const shared = sizeOf(x.shape.slice(0, -2)) !== batch;
      const batchStride = shared || batch === 1 ? 0 : sizeOf(x.shape.slice(-2));
      return { batch: batchStride, row: transposed ? 1 : width, column: transposed ? width : 1 };
    };
    runMatmul(
      y.device,
      { batch, m, n, k, a: strides(a!, transposeA), b: strides(b!, transposeB) },
      a!.storage,
      b!.storage,
      y.storage,
    );
  },
  vjp: (d, { inputs, needs, attributes: { transposeA, transposeB } }) => {
    const [a, b] = inputs as [Tensor, Tensor];
    // With A' and B' the factors as used, y = A' B': dA' = d B'^T, dB' = A'^T d; transposed back where needed.
    const da = () => (transposeA ? matmul(b, d, transposeB, true) : matmul(d, b, false, !transposeB));
    const db = () => (transposeB ? matmul(d, a, true, transposeA) : matmul(a, d, !transposeA, false));
    return [needs[0] ? sumTo(da(), a.shape) : undefined, needs[1] ? sumTo(db(), b.shape) : undefined];
  },
};

/** Launches the variant that fits; strides as in `MatmulGeometry`. */
export function runMatmul(
  device: Device,
  g: kernels.MatmulGeometry,
  a: Storage,
  b: Storage,
  y: Storage,
): void {
  if (!kernels.isTiledMatmul(g)) {
    run(device, kernels.matmulNaive(g), [a, b], y);
    return;
  }
  const paddedM = Math.ceil(g.m / kernels.TILE_ROWS) * kernels.TILE_ROWS;
  const packedA = pack(device, a, g.a, { batch: g.batch, rows: g.k, columns: g.m, width: paddedM }, true);
  const bRow = kernels.isVectorRows(g) ? g.b.row : Math.ceil(g.n / 4) * 4;
  const packedB = kernels.isVectorRows(g)
    ? undefined
    : pack(device, b, g.b, { batch: g.batch, rows: g.k, columns: g.n, width: bRow }, false);
  const launch = kernels.matmulTiled(g, {
    paddedM,
    aBatch: g.a.batch === 0 ? 0 : g.k * paddedM,
    bRow,
    bBatch: packedB === undefined ? g.b.batch : g.b.batch === 0 ? 0 : g.k * bRow,
  });
  run(device, launch, [packedA.storage, packedB?.storage ?? b], y);
  packedA.dispose();
  packedB?.dispose();
}

/** A factor as [batch, rows, width], transposed on the way if asked, zeros beyond `columns`. */
function pack(
  device: Device,
  x: Storage,
  strides: kernels.MatrixStrides,
  size: { batch: number; rows: number; columns: number; width: number },
  transposed: boolean,
): Tensor {
  const batch = strides.batch === 0 ? 1 : size.batch;
  const packed = empty(device, [batch, size.rows, size.width], 'f32', 'matmul');
  const whole = { mul: 1, add: 0, div: 1 };
  const [row, column] = transposed ? [strides.column, strides.row] : [strides.row, strides.column];
  const launch = strided([
    { outputSize: batch, inputSize: batch, inputStride: strides.batch, ...whole },
    { outputSize: size.rows, inputSize: size.rows, inputStride: row, ...whole },
    { outputSize: size.width, inputSize: size.columns, inputStride: column, ...whole },
  ]);
  run(device, launch, [x], packed.storage);
  return packed;
}

/** a [..., M, K] b [..., K, N] -> [..., M, N]; leading axes broadcast; either factor may be read transposed. */
export function matmul(a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor {
  if (a.shape.length < 2 || b.shape.length < 2) {
    throw new ShapeError(`matmul: ${show(a.shape)} and ${show(b.shape)} must both have at least two axes`);
  }
  const batches = [a, b].map((x) => x.shape.slice(0, -2));
  const batch = broadcastShape('matmul', batches[0]!, batches[1]!);
  const simple = batches.every((shape) => sizeOf(shape) === 1 || sizeOf(shape) === sizeOf(batch));
  if (!simple) {
    throw new ShapeError(
      `matmul: batches ${show(batches[0]!)} and ${show(batches[1]!)}: broadcast one of them first`,
    );
  }
  return apply(product, [a, b], { transposeA, transposeB });
}

/** x [N, I] times a weight [O, I] as frameworks store it, plus a bias [O]. */
export function linear(x: Tensor, weight: Tensor): Tensor {
  return x.shape.length === 1
    ? reshape(linear(reshape(x, [1, -1]), weight), [-1])
    : matmul(x, weight, false, true);
}
