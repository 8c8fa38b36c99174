// Convolution and its two adjoints. The three are one sum of products, y += x w, over the same taps; which of
// the three factors is the output is all that differs.

import { type Array64, check, filled } from './array.ts';

export interface ConvOptions {
  /** [sy, sx] */
  readonly stride?: readonly [number, number];
  /** [top, left, bottom, right], of zeros */
  readonly padding?: readonly [number, number, number, number];
  /** [dy, dx] */
  readonly dilation?: readonly [number, number];
  readonly groups?: number;
}

/** Visits every product of a convolution as the positions of its three factors in their data. */
function forEachTap(
  xShape: readonly number[],
  wShape: readonly number[],
  options: ConvOptions,
  visit: (y: number, x: number, w: number) => void,
): number[] {
  const { stride = [1, 1], padding = [0, 0, 0, 0], dilation = [1, 1], groups = 1 } = options;
  check(xShape.length === 4 && wShape.length === 4, `conv2d of [${xShape}] by [${wShape}]`);
  const [batch, channels, height, width] = xShape;
  const [outputs, groupChannels, kernelHeight, kernelWidth] = wShape;
  check(
    channels === groups * groupChannels && outputs % groups === 0,
    `${groups} groups do not divide [${xShape}] by [${wShape}]`,
  );
  const [top, left, bottom, right] = padding;
  const span = (kernel: number, step: number) => step * (kernel - 1) + 1;
  const rows = Math.floor((height + top + bottom - span(kernelHeight, dilation[0])) / stride[0]) + 1;
  const columns = Math.floor((width + left + right - span(kernelWidth, dilation[1])) / stride[1]) + 1;
  check(rows > 0 && columns > 0, `the kernel [${wShape}] exceeds the padded input [${xShape}]`);

  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      const group = Math.floor(o / (outputs / groups));
      for (let oy = 0; oy < rows; oy++) {
        for (let ox = 0; ox < columns; ox++) {
          const y = ((n * outputs + o) * rows + oy) * columns + ox;
          for (let c = 0; c < groupChannels; c++) {
            const channel = group * groupChannels + c;
            for (let ky = 0; ky < kernelHeight; ky++) {
              const iy = oy * stride[0] - top + ky * dilation[0];
              if (iy < 0 || iy >= height) continue;
              for (let kx = 0; kx < kernelWidth; kx++) {
                const ix = ox * stride[1] - left + kx * dilation[1];
                if (ix < 0 || ix >= width) continue;
                const x = ((n * channels + channel) * height + iy) * width + ix;
                visit(y, x, ((o * groupChannels + c) * kernelHeight + ky) * kernelWidth + kx);
              }
            }
          }
        }
      }
    }
  }
  return [batch, outputs, rows, columns];
}

// The output's shape alone: of an empty batch there are no taps.
function outputShape(xShape: readonly number[], wShape: readonly number[], options: ConvOptions): number[] {
  const [, ...rest] = forEachTap([0, ...xShape.slice(1)], wShape, options, () => {});
  return [xShape[0], ...rest];
}

/**
 * Cross-correlation, as deep learning calls convolution: x [N, C, H, W], w [O, C / groups, KH, KW], bias [O]
 * to [N, O, OH, OW].
 */
export function conv2d(x: Array64, w: Array64, options: ConvOptions = {}, bias?: Array64): Array64 {
  const y = filled(outputShape(x.shape, w.shape, options), 0);
  forEachTap(x.shape, w.shape, options, (yi, xi, wi) => {
    y.data[yi] += x.data[xi] * w.data[wi];
  });
  if (bias === undefined) return y;
  const [, outputs, rows, columns] = y.shape;
  check(bias.data.length === outputs, `bias [${bias.shape}] for ${outputs} outputs`);
  for (let i = 0; i < y.data.length; i++) {
    y.data[i] += bias.data[Math.floor(i / (rows * columns)) % outputs];
  }
  return y;
}

/**
 * The adjoint of conv2d in x: dy [N, O, OH, OW] and w to [N, C, H, W], where [H, W] is the shape of the
 * convolution's input (several inputs have the same output where the stride exceeds 1).
 */
export function convTranspose2d(
  dy: Array64,
  w: Array64,
  [height, width]: readonly [number, number],
  options: ConvOptions = {},
): Array64 {
  const x = filled([dy.shape[0], w.shape[1] * (options.groups ?? 1), height, width], 0);
  const expected = outputShape(x.shape, w.shape, options);
  check(String(expected) === String(dy.shape), `conv2d gives [${expected}], not [${dy.shape}]`);
  forEachTap(x.shape, w.shape, options, (yi, xi, wi) => {
    x.data[xi] += dy.data[yi] * w.data[wi];
  });
  return x;
}

/** The adjoint of conv2d in w: x [N, C, H, W] and dy [N, O, OH, OW] to [O, C / groups, KH, KW]. */
export function conv2dWeightGradient(
  x: Array64,
  dy: Array64,
  [kernelHeight, kernelWidth]: readonly [number, number],
  options: ConvOptions = {},
): Array64 {
  const w = filled([dy.shape[1], x.shape[1] / (options.groups ?? 1), kernelHeight, kernelWidth], 0);
  const expected = outputShape(x.shape, w.shape, options);
  check(String(expected) === String(dy.shape), `conv2d gives [${expected}], not [${dy.shape}]`);
  forEachTap(x.shape, w.shape, options, (yi, xi, wi) => {
    w.data[wi] += x.data[xi] * dy.data[yi];
  });
  return w;
}
