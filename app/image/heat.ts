// The one way Limelight lays a heat map over a picture; pure code, for the command line and the page alike.

import { LimelightError, ShapeError } from '../../engine/errors.ts';
import type { Pixels } from '../../models/pixels.ts';
import { type ColourMap, colour, divergingColour, type Rgb } from './colour.ts';

/** A class activation map, row-major, values 0 to 1 or, where signed, -1 to 1. It covers the whole picture. */
export interface HeatMap {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

export interface HeatPictureOptions {
  readonly pixels: Pixels;
  readonly map?: HeatMap | undefined;
  readonly signed?: boolean | undefined;
  /** Where the map has no sign; viridis when left out. */
  readonly colours?: ColourMap | undefined;
  /** How much of the picture full evidence hides, 0 to 1; 0.7 when left out. */
  readonly opacity?: number | undefined;
  /** The long side of the drawn picture: a smaller picture is enlarged by a whole factor, a larger one shrunk. */
  readonly minSide: number;
  readonly maxSide: number;
}

/**
 * A picture with its heat map over it. The opacity grows with the evidence, so where there is none the picture shows
 * as it is.
 *
 * @throws ShapeError where the data of the picture or map does not fit its size.
 * @throws LimelightError where the map holds a value that is not finite.
 */
export function heatPicture(options: HeatPictureOptions): Pixels {
  const { pixels, map, signed = false, colours, opacity = 0.7, minSide, maxSide } = options;
  checkLength('picture', pixels.width, pixels.height, 3, pixels.rgb.length);
  const { width, height } = displaySize(pixels, minSide, maxSide);
  const shown = resample(pixels, width, height);
  if (!map) return shown;

  checkLength('map', map.width, map.height, 1, map.data.length);
  if (!map.data.every(Number.isFinite)) throw new LimelightError('the map holds values that are not finite');
  blend(shown, map, opacity, signed ? divergingColour : (value) => colour(value, colours));
  return shown;
}

function checkLength(what: string, width: number, height: number, channels: number, found: number): void {
  const expected = width * height * channels;
  if (found === expected && expected > 0) return;
  throw new ShapeError(
    `a ${what} of ${width} x ${height} needs ${expected} values (at least one); got ${found}`,
  );
}

function displaySize(pixels: Pixels, minSide: number, maxSide: number): { width: number; height: number } {
  const side = Math.max(pixels.width, pixels.height);
  const scale = side > maxSide ? maxSide / side : Math.max(1, Math.ceil(minSide / side));
  return {
    width: Math.max(1, Math.round(pixels.width * scale)),
    height: Math.max(1, Math.round(pixels.height * scale)),
  };
}

/** Box resampling: the nearest pixel where it enlarges by a whole factor, the mean of an area where it shrinks. */
function resample({ width, height, rgb }: Pixels, newWidth: number, newHeight: number): Pixels {
  const spans = (size: number, newSize: number) =>
    Array.from({ length: newSize }, (_, i) => {
      const start = Math.floor((i * size) / newSize);
      return { start, end: Math.max(start + 1, Math.floor(((i + 1) * size) / newSize)) };
    });
  const columns = spans(width, newWidth);
  const out = new Uint8Array(newWidth * newHeight * 3);
  let to = 0;
  for (const row of spans(height, newHeight)) {
    for (const column of columns) {
      const count = (row.end - row.start) * (column.end - column.start);
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let y = row.start; y < row.end; y++) {
          for (let x = column.start; x < column.end; x++) sum += rgb[3 * (y * width + x) + c]!;
        }
        out[to++] = Math.round(sum / count);
      }
    }
  }
  return { width: newWidth, height: newHeight, rgb: out };
}

/** Lays the map, bilinearly resampled, over the picture in place. */
function blend(
  { width, height, rgb }: Pixels,
  map: HeatMap,
  most: number,
  colourOf: (value: number) => Rgb,
): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = sample(
        map,
        ((x + 0.5) / width) * map.width - 0.5,
        ((y + 0.5) / height) * map.height - 0.5,
      );
      const heat = colourOf(value);
      const evidence = Math.min(1, Math.abs(value));
      const opacity = most * evidence * (2 - evidence);
      const at = 3 * (y * width + x);
      for (let c = 0; c < 3; c++)
        rgb[at + c] = Math.round(rgb[at + c]! + opacity * (heat[c]! - rgb[at + c]!));
    }
  }
}

/** Bilinear interpolation at a position in pixels, where 0 is the centre of the first. */
export function sample({ width, height, data }: HeatMap, x: number, y: number): number {
  const clampedX = Math.min(Math.max(x, 0), width - 1);
  const clampedY = Math.min(Math.max(y, 0), height - 1);
  const [left, top] = [Math.floor(clampedX), Math.floor(clampedY)];
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const [dx, dy] = [clampedX - left, clampedY - top];
  const upper = data[top * width + left]! * (1 - dx) + data[top * width + right]! * dx;
  const lower = data[bottom * width + left]! * (1 - dx) + data[bottom * width + right]! * dx;
  return upper * (1 - dy) + lower * dy;
}

/** A raw map value with three significant digits. */
export function formatValue(value: number): string {
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-3 && size < 1e5);
  return (plain ? String(Number(value.toPrecision(3))) : value.toExponential(2)).replaceAll('-', '−');
}

/** A probability in per cent. */
export const score = (probability: number): string => `${(100 * probability).toFixed(1)} %`;
