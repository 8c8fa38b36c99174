// From a picture to a network's input: resize, crop, normalise. Everything happens on 8-bit pixels until the last
// step, as in Pillow and torchvision, so that a network sees what it saw when it was trained and measured.

import { type Device, LimelightError, type Tensor, tensor } from '../engine/index.ts';
import { channelsFirst } from './array-input.ts';
import { type Filter, filters, type Taps, tapsOf } from './filters.ts';
import type { HostTensor } from './formats/host-tensor.ts';
import { MAX_PIXELS, type Pixels } from './pixels.ts';

/** How pixels become a network's input: (value / scale - mean) / std per channel. */
export interface Preprocessing {
  /** 3: colour; 1: grey, by ITU-R 601 luma. Of a network of other channels only an array can be the input. */
  readonly channels: number;
  /** Set where the input is a signal, of height 1: then no picture can be the input. */
  readonly signal?: boolean;
  /** Order of three channels; rgb when left out. */
  readonly order?: 'rgb' | 'bgr';
  /** Height and width that the network wants; undefined: any size is taken as it is. */
  readonly size?: readonly [height: number, width: number];
  /**
   * How a picture is scaled before `size` is cut out of its middle: a number, so that this is the length of its shorter
   * side; a height and width, whatever its aspect; "pad", so that it just fits into `size`, with `fill` around it. When
   * left out, it is scaled as far down, or up, as still covers `size`.
   */
  readonly resize?: number | readonly [height: number, width: number] | 'pad';
  /** Value of the pixels around a picture that was fitted into `size`, 0 to 255; 0, black, when left out. */
  readonly fill?: number;
  /** bilinear when left out; all but nearest are antialiased when they shrink. */
  readonly interpolation?: Interpolation;
  /** Value of a pixel that counts as 1. */
  readonly scale: number;
  /** One number a channel, in the network's order, or one for all. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Pillow's filters. */
export type Interpolation = 'nearest' | keyof typeof filters;

/** Numbers that do not make a preprocessing. */
export class PreprocessingError extends LimelightError {}

const imagenetColours = { scale: 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** Common preprocessings by name; `torch`, `tf` and `caffe` are the modes of Keras's `preprocess_input`. */
export const presets = {
  /** torchvision's and timm's evaluation of ImageNet networks: crop ratio 0.875. */
  imagenet: { channels: 3, size: [224, 224], resize: 256, interpolation: 'bilinear', ...imagenetColours },
  torch: { channels: 3, ...imagenetColours },
  tf: { channels: 3, scale: 127.5, mean: [1], std: [1] },
  caffe: { channels: 3, order: 'bgr', scale: 1, mean: [103.939, 116.779, 123.68], std: [1] },
  unit: { scale: 255, mean: [0], std: [1] },
  raw: { scale: 1, mean: [0], std: [1] },
} as const satisfies Readonly<Record<string, Partial<Preprocessing>>>;

/** How YOLO detectors are given pictures: fitted into their input, grey around. */
export const letterbox = { resize: 'pad', fill: 114 } as const satisfies Partial<Preprocessing>;

/** Throws a PreprocessingError that says what is wrong with a preprocessing. */
export function checkPreprocessing({ channels, size, resize, scale, mean, std }: Preprocessing): void {
  const refuse = (what: string): never => {
    throw new PreprocessingError(`the preprocessing cannot work: ${what}`);
  };
  for (const [name, values] of Object.entries({ mean, std })) {
    if (values.length !== 1 && values.length !== channels) {
      refuse(`${name} has ${values.length} numbers; expected ${channels === 1 ? '1' : `1 or ${channels}`}`);
    }
    if (!values.every(Number.isFinite)) refuse(`${name} is ${values.join(', ')}`);
  }
  if (std.includes(0)) refuse(`std is ${std.join(', ')}, which divides by zero`);
  if (!Number.isFinite(scale) || scale === 0)
    refuse(`scale is ${scale}, which divides by zero or by no number`);
  const scaled = typeof resize === 'number' ? [resize, resize] : Array.isArray(resize) ? resize : [];
  const sides = [...(size ?? []), ...scaled];
  if (!sides.every((side) => Number.isSafeInteger(side) && side > 0)) refuse(`a side of ${sides.join(', ')}`);
  if (resize !== undefined && size === undefined) refuse('it scales pictures, but to no size');
  if (
    size !== undefined &&
    scaled.some((side, i) => side < (typeof resize === 'number' ? Math.max(...size) : size[i]!))
  ) {
    const from = typeof resize === 'number' ? `a shorter side of ${resize}` : scaled.join(' x ');
    refuse(`nothing of ${size.join(' x ')} can be cut out of ${from}`);
  }
}

/** Numbers of a picture as a network takes them. */
export interface InputNumbers {
  readonly channels: number;
  readonly width: number;
  readonly height: number;
  /** [channels, height, width]. */
  readonly data: Float32Array<ArrayBuffer>;
}

/** Whether pictures can be a network's input; arrays always can. */
export const takesPictures = ({ channels, signal }: Preprocessing): boolean =>
  !signal && (channels === 1 || channels === 3);

/**
 * Pixels, or an array, as a network's input [1, C, H, W] on its device. An array ([C, H, W] or [H, W, C]; of signals [C, L] or
 * [L, C]) goes in as it is: its numbers are those that the network was trained on.
 *
 * @throws {PreprocessingError} for pixels if the network takes a signal, or neither 1 nor 3 channels.
 * @throws {ShapeError} for an array of other sizes than the network's, or with numbers that are not finite.
 */
export function preprocess(
  { device, preprocessing }: { readonly device: Device; readonly preprocessing: Preprocessing },
  given: Pixels | HostTensor,
): Tensor {
  if (!('rgb' in given)) {
    const { shape, data } = channelsFirst(preprocessing, given);
    return tensor(device, data, [1, ...shape]);
  }
  const { channels, height, width, data } = inputNumbers({ preprocessing }, given);
  return tensor(device, data, [1, channels, height, width]);
}

/** The same of pixels, not yet on a device. */
export function inputNumbers(
  { preprocessing }: { readonly preprocessing: Preprocessing },
  pixels: Pixels,
): InputNumbers {
  const { channels, order, size, scale, mean, std, signal } = preprocessing;
  if (!takesPictures(preprocessing)) {
    const [takes, array] = signal
      ? ['a signal, no picture', `[${channels}, ${size?.[1] ?? 'L'}]`]
      : [`${channels} channels, a picture has 3, or 1 if it is grey`, `[${channels}, H, W]`];
    throw new PreprocessingError(
      `the network takes ${takes}: give an array ${array}, on the command line as an .npy file`,
    );
  }
  const { width, height, rgb } = visiblePixels({ preprocessing }, pixels);
  const plane = width * height;
  const data = new Float32Array(channels * plane);
  for (let c = 0; c < channels; c++) {
    const [offset, spread] = [mean[c] ?? mean[0]!, std[c] ?? std[0]!];
    const source = order === 'bgr' ? 2 - c : c;
    for (let i = 0, at = 0; i < plane; i++, at += 3) {
      const sample =
        channels === 3 ? rgb[at + source]! : 0.299 * rgb[at]! + 0.587 * rgb[at + 1]! + 0.114 * rgb[at + 2]!;
      data[c * plane + i] = (sample / scale - offset) / spread;
    }
  }
  return { channels, width, height, data };
}

/**
 * What the network sees of a picture, resized and cropped: what a map is drawn over.
 *
 * @throws {PreprocessingError} where it would become too large on the way.
 */
export function visiblePixels(
  { preprocessing }: { readonly preprocessing: Preprocessing },
  pixels: Pixels,
): Pixels {
  const { size, resize, interpolation, fill } = preprocessing;
  if (size === undefined) return pixels;
  const [height, width] = scaledSize(pixels, size, resize);
  if (height * width > MAX_PIXELS) {
    throw new PreprocessingError(
      `a picture of ${pixels.width} x ${pixels.height} becomes ${width} x ${height} before ${size[1]} x ${size[0]} are ` +
        `cut out, more than ${MAX_PIXELS / 1e6} megapixels; ask for a smaller size, or crop the picture first`,
    );
  }
  return centred(resizePixels(pixels, [height, width], interpolation), size, fill);
}

/**
 * Where the edges of a box of the picture lie in what the network sees of it, [x0, y0, x1, y1] in pixels, cut off at its
 * borders and not rounded; undefined where nothing of the box is seen.
 */
export function visibleBox(
  { preprocessing }: { readonly preprocessing: Preprocessing },
  picture: { readonly width: number; readonly height: number },
  box: readonly [x0: number, y0: number, x1: number, y1: number],
): [x0: number, y0: number, x1: number, y1: number] | undefined {
  const { size, scaled, before } = placement(preprocessing, picture);
  const along = (edge: number, axis: 0 | 1) => {
    const length = axis === 0 ? picture.height : picture.width;
    return Math.min(Math.max((edge * scaled[axis]) / length - before[axis], 0), size[axis]);
  };
  const [x0, y0, x1, y1] = [along(box[0], 1), along(box[1], 0), along(box[2], 1), along(box[3], 0)];
  return x0 < x1 && y0 < y1 ? [x0, y0, x1, y1] : undefined;
}

/** Where the edges of a box of what the network sees lie in the picture, cut off at its borders and not rounded. */
export function pictureBox(
  { preprocessing }: { readonly preprocessing: Preprocessing },
  picture: { readonly width: number; readonly height: number },
  [x0, y0, x1, y1]: readonly [x0: number, y0: number, x1: number, y1: number],
): [x0: number, y0: number, x1: number, y1: number] {
  const { scaled, before } = placement(preprocessing, picture);
  const along = (edge: number, axis: 0 | 1) => {
    const length = axis === 0 ? picture.height : picture.width;
    return Math.min(Math.max(((edge + before[axis]) * length) / scaled[axis], 0), length);
  };
  return [along(x0, 1), along(y0, 0), along(x1, 1), along(y1, 0)];
}

/** The input's size, the picture's when it is scaled, and how much of it then is cut off before the input begins. */
function placement(
  { size, resize }: Preprocessing,
  { width, height }: { readonly width: number; readonly height: number },
): Record<'size' | 'scaled' | 'before', readonly [height: number, width: number]> {
  if (size === undefined) return { size: [height, width], scaled: [height, width], before: [0, 0] };
  const scaled = scaledSize({ width, height }, size, resize);
  const [top, left] = [0, 1].map((axis) => roundToEven((scaled[axis]! - size[axis]!) / 2)) as [
    number,
    number,
  ];
  return { size, scaled, before: [top, left] };
}

/** Height and width before the crop. */
function scaledSize(
  { width, height }: Pick<Pixels, 'width' | 'height'>,
  [rows, columns]: readonly [number, number],
  resize: Preprocessing['resize'],
): readonly [number, number] {
  if (typeof resize === 'object') return resize;
  const isWide = rows * width >= columns * height;
  if (resize === 'pad') {
    // As Pillow's ImageOps.contain rounds.
    return isWide
      ? [Math.min(rows, Math.max(1, roundToEven((height / width) * columns))), columns]
      : [rows, Math.min(columns, Math.max(1, roundToEven((width / height) * rows)))];
  }
  // The longer side is rounded down, as torchvision does.
  const byHeight = resize === undefined ? isWide : height <= width;
  const [short, long, target, least] = byHeight
    ? ([height, width, resize ?? rows, columns] as const)
    : ([width, height, resize ?? columns, rows] as const);
  const other = Math.max(least, Math.floor((target * long) / short));
  return byHeight ? [target, other] : [other, target];
}

/** Python's rounding, halves to the even neighbour, which torchvision's CenterCrop uses. */
const roundToEven = (x: number): number => {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + Math.abs(low % 2) : Math.round(x);
};

/** The middle of a picture, or a picture in the middle of black or what else fills. */
function centred(pixels: Pixels, [height, width]: readonly [number, number], fill = 0): Pixels {
  if (pixels.height === height && pixels.width === width) return pixels;
  const [top, left] = [roundToEven((pixels.height - height) / 2), roundToEven((pixels.width - width) / 2)];
  const rgb = new Uint8Array(3 * width * height).fill(fill);
  const [from, to] = [Math.max(0, left), Math.max(0, -left)];
  const line = 3 * Math.min(pixels.width, width);
  for (let y = Math.max(0, -top); y < Math.min(height, pixels.height - top); y++) {
    const start = 3 * ((top + y) * pixels.width + from);
    rgb.set(pixels.rgb.subarray(start, start + line), 3 * (y * width + to));
  }
  return { width, height, rgb };
}

/** The names of all interpolations. */
export const interpolations: readonly Interpolation[] = [
  'nearest',
  ...(Object.keys(filters) as (keyof typeof filters)[]),
];

/** Weights are whole multiples of 2^-22, as in Pillow, so that the results are the same to the bit. */
const UNIT = 2 ** 22;

function taps(from: number, to: number, filter: Filter): Taps[] {
  const round = (w: number) => Math.trunc(w * UNIT + (w < 0 ? -0.5 : 0.5));
  return tapsOf(from, to, filter).map(({ first, weights }) => ({ first, weights: weights.map(round) }));
}

/**
 * A picture of another size, by Pillow's `Image.resize`: columns first, then rows, rounded to 8 bits after each;
 * nearest takes the pixel under the centre.
 */
export function resizePixels(
  pixels: Pixels,
  [height, width]: readonly [number, number],
  interpolation: Interpolation = 'bilinear',
): Pixels {
  if (interpolation === 'nearest') return resizeNearest(pixels, height, width);
  const filter = filters[interpolation];
  const wide = width === pixels.width ? pixels : resizeColumns(pixels, width, filter);
  return height === wide.height ? wide : resizeRows(wide, height, filter);
}

/** The source pixel under each centre, by a sum of steps as in Pillow: where a centre is on an edge, rounding decides. */
function underCentres(from: number, to: number): number[] {
  const step = from / to;
  let at = step * 0.5;
  return Array.from({ length: to }, () => {
    const pixel = Math.floor(at);
    at += step;
    return pixel;
  });
}

function resizeNearest({ width: w, height: h, rgb: from }: Pixels, height: number, width: number): Pixels {
  const rgb = new Uint8Array(3 * width * height);
  const columns = underCentres(w, width);
  for (const [y, row] of underCentres(h, height).entries()) {
    for (const [x, column] of columns.entries()) {
      const at = 3 * (row * w + column);
      rgb.set(from.subarray(at, at + 3), 3 * (y * width + x));
    }
  }
  return { width, height, rgb };
}

/** A sum of pixels times weights as 8 bits. */
const toByte = (sum: number): number => Math.min(255, Math.max(0, Math.floor(sum / UNIT + 0.5)));

function resizeColumns({ width: from, height, rgb: source }: Pixels, width: number, filter: Filter): Pixels {
  const rgb = new Uint8Array(3 * width * height);
  const columns = taps(from, width, filter);
  for (let y = 0; y < height; y++) {
    for (const [x, { first, weights }] of columns.entries()) {
      let [r, g, b] = [0, 0, 0];
      let at = 3 * (y * from + first);
      for (const weight of weights) {
        r += weight * source[at++]!;
        g += weight * source[at++]!;
        b += weight * source[at++]!;
      }
      const to = 3 * (y * width + x);
      rgb[to] = toByte(r);
      rgb[to + 1] = toByte(g);
      rgb[to + 2] = toByte(b);
    }
  }
  return { width, height, rgb };
}

function resizeRows({ width, rgb: source, height: from }: Pixels, height: number, filter: Filter): Pixels {
  const line = 3 * width;
  const rgb = new Uint8Array(line * height);
  const sums = new Float64Array(line);
  for (const [y, { first, weights }] of taps(from, height, filter).entries()) {
    sums.fill(0);
    for (const [k, weight] of weights.entries()) {
      const at = (first + k) * line;
      for (let i = 0; i < line; i++) sums[i]! += weight * source[at + i]!;
    }
    for (let i = 0; i < line; i++) rgb[y * line + i] = toByte(sums[i]!);
  }
  return { width, height, rgb };
}
