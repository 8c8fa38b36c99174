// Pooling over windows, grids of cells and whole planes.

import type { Device, Tensor } from '../../engine/index.ts';
import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { type Padding, paddingOf, pair, plain, type Size } from './node.ts';

export interface PoolSpec {
  readonly kernel: Size;
  readonly stride: Size;
  readonly padding?: Padding;
  /** Whether a last window may reach beyond the padded input. */
  readonly ceilMode?: boolean;
}

/** Largest of each window; padding is never the largest. */
export function maxPool(
  name: string,
  input: string,
  spec: PoolSpec & { readonly dilation?: Size },
): GraphNode {
  const { stride, padding = 0, dilation = 1, ceilMode = false } = spec;
  const { of, shown } = paddingOf(padding);
  const options = { kernel: pair(spec.kernel), stride: pair(stride), dilation: pair(dilation), ceilMode };
  const run = (x: Tensor) => ops.maxPool2d(x, { ...options, padding: of(x) });
  return plain(name, 'maxPool', [input], run, { ...options, padding: shown }, { channelwise: true });
}

/** Mean of each window; padding counts as zeros, as PyTorch's default has it, unless it is not counted. */
export function avgPool(
  name: string,
  input: string,
  spec: PoolSpec & { readonly countIncludePad?: boolean },
): GraphNode {
  const { stride, padding = 0, ceilMode = false, countIncludePad = true } = spec;
  const { of, shown } = paddingOf(padding);
  const kernel = pair(spec.kernel);
  const options = { kernel, stride: pair(stride), ceilMode, countIncludePad };
  const run = (x: Tensor) => ops.avgPool2d(x, { ...options, padding: of(x) });
  const still = Array.isArray(shown) && shown.every((n) => n === 0);
  return plain(
    name,
    'avgPool',
    [input],
    run,
    { ...options, padding: shown },
    {
      channelwise: true,
      mean: ([, , height, width]) =>
        still && kernel[0] === height && kernel[1] === width ? [2, 3] : undefined,
    },
  );
}

/**
 * Means over a grid of `size` cells, whose borders are rounded outwards so that neighbours may share pixels, as
 * PyTorch's AdaptiveAvgPool2d: [N, C, H, W] -> [N, C, rows, columns].
 */
export function adaptiveAvgPool(name: string, input: string, size: Size): GraphNode {
  const [rows, columns] = pair(size);
  const run = (x: Tensor) => {
    if (rows === 1 && columns === 1) return ops.mean(x, [2, 3], true);
    // Separable: cells of rows from the left, cells of columns from the right.
    const down = cells(x.device, x.shape[2]!, rows);
    const across = cells(x.device, x.shape[3]!, columns);
    return ops.matmul(ops.matmul(down, x), across, false, true);
  };
  return plain(
    name,
    'adaptiveAvgPool',
    [input],
    run,
    { size: [rows, columns] },
    {
      channelwise: true,
      mean: () => (rows === 1 && columns === 1 ? [2, 3] : undefined),
    },
  );
}

/** [count, from]: row i averages positions floor(i from / count) to ceil((i + 1) from / count). */
function cells(device: Device, from: number, count: number): Tensor {
  const rows = new Float32Array(count * from);
  for (let i = 0; i < count; i++) {
    const [start, end] = [Math.floor((i * from) / count), Math.ceil(((i + 1) * from) / count)];
    rows.fill(1 / (end - start), i * from + start, i * from + end);
  }
  return ops.tensor(device, rows, [count, from]);
}

/** Mean over each plane: [N, C, H, W] -> [N, C], or [N, C, 1, 1] where the axes are kept. */
export const globalAvgPool = (name: string, input: string, keep = false) =>
  plain(
    name,
    'globalAvgPool',
    [input],
    keep ? (x) => ops.mean(x, [2, 3], true) : ops.globalAvgPool,
    {},
    { channelwise: true, mean: () => [2, 3] },
  );

/** Largest of each plane, likewise. */
export const globalMaxPool = (name: string, input: string, keep = false) =>
  plain(name, 'globalMaxPool', [input], (x) => ops.max(x, [2, 3], keep), {}, { channelwise: true });
