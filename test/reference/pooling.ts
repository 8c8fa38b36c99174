// Pooling over windows and over whole feature maps, with PyTorch's rules for sizes and divisors.

import { type Array64, check, filled } from './array.ts';
import { max, mean } from './reduction.ts';

export interface PoolOptions {
  /** [KH, KW] */
  readonly kernel: readonly [number, number];
  /** [sy, sx]; PyTorch's default: the kernel */
  readonly stride?: readonly [number, number];
  /** [top, left, bottom, right] */
  readonly padding?: readonly [number, number, number, number];
  readonly ceilMode?: boolean;
}

export interface MaxPoolOptions extends PoolOptions {
  /** [dy, dx] */
  readonly dilation?: readonly [number, number];
}

export interface AvgPoolOptions extends PoolOptions {
  /** Whether zeros of the padding count in the divisor; true in PyTorch by default, false in ONNX. */
  readonly countIncludePad?: boolean;
}

/**
 * The number of windows along one axis, after PyTorch's pooling_output_shape: with ceilMode the last window may
 * overhang the padded end, but it must start inside the input or the padding before it.
 */
export function poolOutputSize(
  length: number,
  kernel: number,
  stride: number,
  before: number,
  after: number,
  dilation: number,
  ceilMode: boolean,
): number {
  const steps = (length + before + after - dilation * (kernel - 1) - 1) / stride;
  const windows = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
  return ceilMode && (windows - 1) * stride >= length + before ? windows - 1 : windows;
}

/** Gives `reduce` the window of each output: the plane's offset and the first row and column, padding negative. */
function pool(
  x: Array64,
  options: MaxPoolOptions,
  reduce: (plane: number, firstRow: number, firstColumn: number) => number,
): Array64 {
  check(x.shape.length === 4, `pooling of [${x.shape}]`);
  const { kernel, stride = kernel, padding = [0, 0, 0, 0], dilation = [1, 1], ceilMode = false } = options;
  const [batch, channels, height, width] = x.shape;
  const [top, left, bottom, right] = padding;
  const rows = poolOutputSize(height, kernel[0], stride[0], top, bottom, dilation[0], ceilMode);
  const columns = poolOutputSize(width, kernel[1], stride[1], left, right, dilation[1], ceilMode);
  check(rows > 0 && columns > 0, `the window [${kernel}] exceeds the padded input [${x.shape}]`);
  const y = filled([batch, channels, rows, columns], 0);
  for (let image = 0; image < batch * channels; image++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        y.data[(image * rows + row) * columns + column] = reduce(
          image * height * width,
          row * stride[0] - top,
          column * stride[1] - left,
        );
      }
    }
  }
  return y;
}

/** Padding never wins: a window wholly in the padding gives -Infinity. NaN wins over everything. */
export function maxPool2d(x: Array64, options: MaxPoolOptions): Array64 {
  const [, , height, width] = x.shape;
  const { kernel, dilation = [1, 1] } = options;
  return pool(x, options, (plane, firstRow, firstColumn) => {
    let largest = -Infinity;
    for (let ky = 0; ky < kernel[0]; ky++) {
      for (let kx = 0; kx < kernel[1]; kx++) {
        const row = firstRow + ky * dilation[0];
        const column = firstColumn + kx * dilation[1];
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        largest = Math.max(largest, x.data[plane + row * width + column]);
      }
    }
    return largest;
  });
}

/**
 * The sum over a window's elements inside the input, divided by the number of its elements inside the padded
 * input (countIncludePad) or inside the input. What ceilMode lets overhang the padded end counts in neither. A
 * window wholly in the padding gives 0.
 */
export function avgPool2d(x: Array64, options: AvgPoolOptions): Array64 {
  const [, , height, width] = x.shape;
  const { kernel, padding = [0, 0, 0, 0], countIncludePad = true } = options;
  const [, , bottom, right] = padding;
  return pool(x, { ...options, dilation: [1, 1] }, (plane, firstRow, firstColumn) => {
    let sum = 0;
    let inside = 0;
    let insidePadded = 0;
    for (let row = firstRow; row < firstRow + kernel[0]; row++) {
      for (let column = firstColumn; column < firstColumn + kernel[1]; column++) {
        if (row >= height + bottom || column >= width + right) continue;
        insidePadded++;
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        inside++;
        sum += x.data[plane + row * width + column];
      }
    }
    return inside === 0 ? 0 : sum / (countIncludePad ? insidePadded : inside);
  });
}

/** [N, C, H, W] to [N, C, 1, 1]. */
export function globalAvgPool(x: Array64): Array64 {
  return mean(x, [2, 3], true);
}

/** [N, C, H, W] to [N, C, 1, 1]. */
export function globalMaxPool(x: Array64): Array64 {
  return max(x, [2, 3], true);
}
