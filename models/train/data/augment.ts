// Batches of normalised images with the usual augmentation of small photographs fused into the one pass over pixels.

import { ShapeError } from '../../../engine/errors.ts';
import { DataError, type LabelledImages } from './labelled-images.ts';
import { below, type Random } from './random.ts';

/** What is done to each image; an augmentation left out is not applied. */
export interface BatchOptions {
  /** Per channel, of samples scaled to [0, 1]. */
  mean: readonly number[];
  /** Per channel, of samples scaled to [0, 1]; positive. */
  std: readonly number[];
  /** Mirror left and right with probability 1/2. */
  flip?: boolean;
  /** Move by up to this many pixels each way along each axis; what comes in is mirrored about the edge pixel. */
  shift?: number;
  /**
   * Side of a square set to the mean (0 after normalisation), in pixels; its centre is anywhere in the image, so it
   * may be cut off by the edge (DeVries and Taylor, "Improved Regularization ... with Cutout", 2017).
   */
  cutout?: number;
}

/**
 * Writes `(x / 255 - mean) / std` of the chosen images, augmented, as `[indices.length, channels, height, width]`.
 * Numbers are drawn per image in the order flip, vertical shift, horizontal shift, cutout row, cutout column, and none
 * for an augmentation that is off.
 * @throws ShapeError if `out`, `mean` or `std` has the wrong length
 * @throws DataError if an index is out of range or an option is not usable
 */
export function batch(
  images: LabelledImages,
  indices: ArrayLike<number>,
  options: BatchOptions,
  next: Random,
  out: Float32Array,
): void {
  const { channels, height, width, pixels } = images;
  const { flip = false, shift = 0, cutout = 0 } = options;
  checkOptions(images, indices, options, out);

  const normalised = normalisationTable(channels, options);
  const columns = new Int32Array(width);
  for (let n = 0; n < indices.length; n++) {
    const mirrored = flip && next() < 0.5;
    const down = shift > 0 ? below(2 * shift + 1, next) - shift : 0;
    const right = shift > 0 ? below(2 * shift + 1, next) - shift : 0;
    for (let x = 0; x < width; x++) {
      const source = reflect(x + right, width);
      columns[x] = mirrored ? width - 1 - source : source;
    }
    const first = indices[n] * channels * height * width;
    let target = n * channels * height * width;
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < height; y++) {
        const row = first + (channel * height + reflect(y + down, height)) * width;
        for (let x = 0; x < width; x++) {
          out[target++] = normalised[channel * 256 + pixels[row + columns[x]]];
        }
      }
    }
    if (cutout > 0) cut(images, out, n, cutout, below(height, next), below(width, next));
  }
}

/** Position `i` of a line of `length` samples that is continued by mirroring about its end samples. */
function reflect(i: number, length: number): number {
  const folded = Math.abs(i);
  return folded < length ? folded : 2 * (length - 1) - folded;
}

/** Every normalised value there can be: `[channels, 256]`. */
function normalisationTable(channels: number, { mean, std }: BatchOptions): Float32Array {
  return Float32Array.from({ length: channels * 256 }, (_, i) => {
    const channel = i >> 8;
    return ((i & 255) / 255 - mean[channel]) / std[channel];
  });
}

function cut(
  images: LabelledImages,
  out: Float32Array,
  n: number,
  side: number,
  cy: number,
  cx: number,
): void {
  const { channels, height, width } = images;
  const top = cy - (side >> 1);
  const left = cx - (side >> 1);
  const [x0, x1] = [Math.max(left, 0), Math.min(left + side, width)];
  for (let channel = 0; channel < channels; channel++) {
    for (let y = Math.max(top, 0); y < Math.min(top + side, height); y++) {
      const row = ((n * channels + channel) * height + y) * width;
      out.fill(0, row + x0, row + x1);
    }
  }
}

function checkOptions(
  { count, channels, height, width }: LabelledImages,
  indices: ArrayLike<number>,
  { mean, std, shift = 0, cutout = 0 }: BatchOptions,
  out: Float32Array,
): void {
  const length = indices.length * channels * height * width;
  if (out.length !== length) {
    throw new ShapeError(
      `batch: out has ${out.length} elements, expected ${length} for ` +
        `[${indices.length}, ${channels}, ${height}, ${width}]`,
    );
  }
  if (mean.length !== channels || std.length !== channels) {
    throw new ShapeError(
      `batch: ${mean.length} means and ${std.length} deviations for ${channels} channels; give one of each a channel`,
    );
  }
  if (!mean.every(Number.isFinite)) throw new DataError(`batch: mean [${mean}] is not finite`);
  if (!std.every((value) => value > 0)) throw new DataError(`batch: std [${std}] must be positive`);
  const largest = Math.min(height, width) - 1;
  if (!Number.isInteger(shift) || shift < 0 || shift > largest) {
    throw new DataError(`batch: shift ${shift} is not an integer from 0 to ${largest}`);
  }
  if (!Number.isInteger(cutout) || cutout < 0) {
    throw new DataError(`batch: cutout ${cutout} is not an integer of 0 or more`);
  }
  for (let n = 0; n < indices.length; n++) {
    if (!Number.isInteger(indices[n]) || indices[n] < 0 || indices[n] >= count) {
      throw new DataError(`batch: index ${n} is ${indices[n]}, expected an integer from 0 to ${count - 1}`);
    }
  }
}
