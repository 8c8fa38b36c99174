// Matrix products. One operation with transposition flags is closed under differentiation.

import { planMatmul } from '../../kernels/matmul/variants.ts';
import { MemoryBudgetError, ShapeError } from '../errors.ts';
import { jointly, separately } from '../facts.ts';
import { bytesIn, megabytes } from '../memory.ts';
import { apply, type Operation } from '../operation.ts';
import { productPlaces } from '../places.ts';
import { planned, runPlan } from '../plan.ts';
import { rowsWithin, type Shape, sameShape, show, sizeOf, type Tensor } from '../tensor.ts';
import { broadcastShape } from './axes.ts';
import {
  addBias,
  described,
  type Following,
  follow,
  followed,
  NO_ADDENDS,
  type StoredEpilogue,
} from './epilogue.ts';
import { concat, pad } from './layout.ts';
import { reshape, sumTo } from './linear.ts';

interface MatmulAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const matrix = (shape: Shape, transposed: boolean): [number, number] => {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
};

/** Fills y with the product of two tensors. */
function runProduct(
  [a, b]: readonly Tensor[],
  y: Tensor,
  { transposeA, transposeB }: MatmulAttributes,
  epilogue: StoredEpilogue = NO_ADDENDS,
): void {
  const { profile } = y.device;
  const [m, k] = matrix(a!.shape, transposeA);
  const [, n] = matrix(b!.shape, transposeB);
  const batch = sizeOf(y.shape.slice(0, -2));
  const strides = (x: Tensor, transposed: boolean) => {
    const width = x.shape.at(-1)!;
    const shared = sizeOf(x.shape.slice(0, -2)) !== batch;
    const batchStride = shared || batch === 1 ? 0 : sizeOf(x.shape.slice(-2));
    return { batch: batchStride, row: transposed ? 1 : width, column: transposed ? width : 1 };
  };
  const g = { batch, m, n, k, a: strides(a!, transposeA), b: strides(b!, transposeB) };
  const after = described(epilogue, 'columns');
  const plan = planned(profile, ['matmul', g, after], () => planMatmul(g, after, profile, names));
  const buffers = { a: a!.storage, b: b!.storage, y: y.storage, ...epilogue.addends };
  runPlan(y.device, plan, buffers, 'matmul');
}

/** What the buffers of a product's plan are called. */
const names = { a: 'a', b: 'b', y: 'y' };

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
  forward: (inputs, y, attributes) => runProduct(inputs, y, attributes),
  vjp: (d, { inputs, needs, attributes: { transposeA, transposeB } }) => {
    const [a, b] = inputs as [Tensor, Tensor];
    // With A' and B' the factors as used, y = A' B': dA' = d B'^T, dB' = A'^T d; transposed back where needed.
    const da = () => (transposeA ? matmul(b, d, transposeB, true) : matmul(d, b, false, !transposeB));
    const db = () => (transposeB ? matmul(d, a, true, transposeA) : matmul(a, d, !transposeA, false));
    return [needs[0] ? sumTo(da(), a.shape) : undefined, needs[1] ? sumTo(db(), b.shape) : undefined];
  },
  places: ([a, b], shape, { transposeA, transposeB }) => productPlaces(a, b, shape, [transposeA, transposeB]),
  affine: separately,
  multiplyAdds: ([a], shape, { transposeA }) => sizeOf(shape) * matrix(a!.shape, transposeA)[1],
};

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

const multiplied = followed(product, 1, runProduct);

/** Some rows of a matrix where they lie; their number before these is a multiple of `rowsAligned`. */
const someRows: Operation<{ readonly first: number; readonly count: number }> = {
  name: 'rows of a weight',
  shape: ([weight], { count }) => [count, weight!.shape[1]!],
  view: ([weight], shape, { first }) => rowsWithin(weight!, first, shape),
  vjp: (d, { inputs: [weight], attributes: { first, count } }) => {
    const { shape, storage, device } = weight!;
    const { binding } = device.profile.limits;
    if (storage.size > binding)
      throw new MemoryBudgetError(
        `linear: the derivative with respect to the weight ${show(shape)}, whatever the batch, takes ` +
          `${megabytes(storage.size)}, and this device binds ${megabytes(binding)} at once; leave this weight out of what ` +
          'the derivative is taken of, or use another adapter (LIMELIGHT_DEVICE)',
      );
    return [pad(d, [first, 0], [shape[0]! - first - count, 0])];
  },
  affine: jointly,
};

/** Rows of any length from every so many on begin at whole 256 bytes, where WebGPU can bind them. */
const rowsAligned = ({ storage }: Tensor): number => 256 / (bytesIn(storage, 2) / 2);

/** How many rows of a weight a kernel sees at once. */
function rowsAtOnce(weight: Tensor): number {
  const { shape, storage, device } = weight;
  const { binding } = device.profile.limits;
  if (storage.size <= binding) return shape[0]!;
  const aligned = rowsAligned(weight);
  const rows = aligned * Math.floor(binding / bytesIn(storage, shape[1]! * aligned));
  if (rows > 0) return rows;
  throw new MemoryBudgetError(
    `linear: ${aligned} rows of the weight ${show(shape)} take more than the ${megabytes(binding)} that this device ` +
      'binds at once; use a network with fewer inputs to this layer, or another adapter (LIMELIGHT_DEVICE)',
  );
}

const TURNED = { transposeA: false, transposeB: true };

/** Products with some rows of a weight at a time, side by side. */
function linearInParts(x: Tensor, weight: Tensor, rows: number, { bias, ...after }: Following): Tensor {
  const outputs = weight.shape[0]!;
  const parts = Array.from({ length: Math.ceil(outputs / rows) }, (_, i) => {
    const [first, count] = [i * rows, Math.min(rows, outputs - i * rows)];
    return apply(product, [x, apply(someRows, [weight], { first, count })], TURNED);
  });
  const y = concat(parts, 1);
  return follow(bias === undefined ? y : addBias(y, bias), after);
}

/**
 * x [..., I] times a weight [O, I] as frameworks store it: [..., O]. One product, whatever the leading axes. What
 * follows it, with a bias [O], costs no launch of its own, as long as a summand has the result's shape. A weight that is
 * larger than what a kernel sees of one buffer is gone through a part of its rows at a time.
 */
export function linear(x: Tensor, weight: Tensor, after: Following = {}): Tensor {
  if (weight.shape.length !== 2) {
    throw new ShapeError(`linear: the weight ${show(weight.shape)} must have two axes, outputs and inputs`);
  }
  const { bias, summand, activation } = after;
  const shape = [...x.shape.slice(0, -1), weight.shape[0]!];
  if (shape.length === 2) {
    const rows = rowsAtOnce(weight);
    if (rows < shape[1]!) return linearInParts(x, weight, rows, after);
    return multiplied(x, weight, TURNED, after);
  }
  const fits = summand === undefined || sameShape(summand.shape, shape);
  if (!fits) return follow(linear(x, weight, { bias }), { summand, activation });
  const rows = (t: Tensor) => reshape(t, [sizeOf(shape.slice(0, -1)), t.shape.at(-1) ?? 1]);
  return reshape(linear(rows(x), weight, { ...after, summand: summand && rows(summand) }), shape);
}
