// The one way Limelight draws a picture with a heat map over it, and the colour bar that explains it.

import { LimelightError, ShapeError } from '../../engine/errors.ts';
import type { Pixels } from '../../models/pixels.ts';
import { colour, divergingColour } from './colour.ts';
import { FAINT_INK, INK, image, text, textWidth } from './svg.ts';

/** A class activation map, row-major, values 0 to 1 or, where signed, -1 to 1. It covers the whole picture. */
export interface HeatMap {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** A drawing with its origin at the top left corner, and the room that it takes, in pixels. */
export interface Drawing {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
}

export interface PanelOptions {
  readonly pixels: Pixels;
  readonly map?: HeatMap | undefined;
  readonly signed?: boolean | undefined;
  /** The long side of the drawn picture: a smaller picture is enlarged by a whole factor, a larger one shrunk. */
  readonly minSide: number;
  readonly maxSide: number;
}

/** How much of the picture full evidence hides. */
const OPACITY = 0.7;

/**
 * Draws a picture with its heat map. The opacity grows with the evidence, so where there is none the picture
 * shows as it is. A map that is zero everywhere is said to be so on the picture.
 *
 * @throws ShapeError where the data of the picture or map does not fit its size.
 * @throws LimelightError where the map holds a value that is not finite.
 */
export function panel({ pixels, map, signed = false, minSide, maxSide }: PanelOptions): Drawing {
  checkLength('picture', pixels.width, pixels.height, 3, pixels.rgb.length);
  const { width, height } = displaySize(pixels, minSide, maxSide);
  const shown = resample(pixels, width, height);
  const frame = `<rect x="-0.5" y="-0.5" width="${width + 1}" height="${height + 1}" fill="none" stroke="#d5d8dc"/>`;
  if (!map) return { svg: frame + image(shown, 0, 0), width, height };

  checkLength('map', map.width, map.height, 1, map.data.length);
  if (!map.data.every(Number.isFinite)) throw new LimelightError('the map holds values that are not finite');
  blend(shown.rgb, width, height, map, signed ? divergingColour : colour);
  const note = map.data.every((value) => value === 0) ? emptyNote(width, height, signed) : '';
  return { svg: frame + image(shown, 0, 0) + note, width, height };
}

export interface ColourBarOptions {
  readonly width: number;
  readonly height: number;
  readonly signed?: boolean | undefined;
  /** Labels with their positions, from 0 (low end) to 1 (high end). */
  readonly ticks: readonly { at: number; label: string }[];
}

/** Draws a colour bar, upright where it is higher than wide, with its labels to the right or below. */
export function colourBar({ width, height, signed = false, ticks }: ColourBarOptions): Drawing {
  const upright = height > width;
  const stops = Array.from({ length: 33 }, (_, i) => {
    const at = i / 32;
    const rgb = signed ? divergingColour(2 * at - 1) : colour(at);
    return `<stop offset="${at}" stop-color="rgb(${rgb})"/>`;
  });
  const direction = upright ? 'x1="0" y1="1" x2="0" y2="0"' : 'x1="0" y1="0" x2="1" y2="0"';
  const style = { size: 12, fill: FAINT_INK };
  const labels = ticks.map(({ at, label }) => {
    if (!upright) {
      const anchor = at === 0 ? 'start' : at === 1 ? 'end' : 'middle';
      return text(label, at * width, height + 16, { ...style, anchor });
    }
    const y = (1 - at) * height;
    // The outer labels stay within the length of the bar.
    const baseline = y + (at === 1 ? 10 : at === 0 ? 0 : 4.5);
    const line = Math.min(Math.max(y, 0.5), height - 0.5);
    return `<path d="M${width} ${line}h5" stroke="${FAINT_INK}"/>${text(label, width + 9, baseline, style)}`;
  });
  const id = signed ? 'diverging' : 'sequential';
  const svg =
    `<linearGradient id="${id}" ${direction}>${stops.join('')}</linearGradient>` +
    `<rect width="${width}" height="${height}" fill="url(#${id})"/>${labels.join('')}`;
  const labelWidth = Math.max(0, ...ticks.map(({ label }) => textWidth(label, style)));
  return upright
    ? { svg, width: Math.ceil(width + 9 + labelWidth), height }
    : { svg, width, height: height + 20 };
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
function blend(rgb: Uint8Array, width: number, height: number, map: HeatMap, colours: typeof colour): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = sample(
        map,
        ((x + 0.5) / width) * map.width - 0.5,
        ((y + 0.5) / height) * map.height - 0.5,
      );
      const heat = colours(value);
      const evidence = Math.min(1, Math.abs(value));
      const opacity = OPACITY * evidence * (2 - evidence);
      const at = 3 * (y * width + x);
      for (let c = 0; c < 3; c++)
        rgb[at + c] = Math.round(rgb[at + c]! + opacity * (heat[c]! - rgb[at + c]!));
    }
  }
}

/** Bilinear interpolation at a position in pixels, where 0 is the centre of the first. */
function sample({ width, height, data }: HeatMap, x: number, y: number): number {
  const clampedX = Math.min(Math.max(x, 0), width - 1);
  const clampedY = Math.min(Math.max(y, 0), height - 1);
  const [left, top] = [Math.floor(clampedX), Math.floor(clampedY)];
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const [dx, dy] = [clampedX - left, clampedY - top];
  const upper = data[top * width + left]! * (1 - dx) + data[top * width + right]! * dx;
  const lower = data[bottom * width + left]! * (1 - dx) + data[bottom * width + right]! * dx;
  return upper * (1 - dy) + lower * dy;
}

/** A note on a map without any evidence, so that an untouched picture is not taken for a failure. */
function emptyNote(width: number, height: number, signed: boolean): string {
  const lines = signed
    ? ['no evidence for', 'or against this class']
    : ['no positive evidence', 'for this class'];
  const [boxWidth, boxHeight] = [176, 48];
  const x = Math.max(0, (width - boxWidth) / 2);
  const y = Math.max(0, height - boxHeight - 12);
  const style = { size: 13, fill: '#ffffff', anchor: 'middle' } as const;
  const written = lines.map((line, i) => text(line, x + boxWidth / 2, y + 20 + 18 * i, style));
  return (
    `<rect x="${x}" y="${y}" width="${boxWidth}" height="${boxHeight}" rx="6" fill="${INK}" ` +
    `fill-opacity="0.78"/>${written.join('')}`
  );
}
