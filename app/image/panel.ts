// A picture with its heat map as a part of an SVG, and the colour bar that explains it.

import { type ColourMap, colour, divergingColour } from './colour.ts';
import { type HeatPictureOptions, heatPicture } from './heat.ts';
import { FAINT_INK, INK, image, text, textWidth } from './svg.node.ts';

/** A drawing with its origin at the top left corner, and the room that it takes, in pixels. */
export interface Drawing {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
}

/**
 * Draws a picture with its heat map, as `heatPicture` does. A map that is zero everywhere is said to be so on the
 * picture.
 */
export function panel(options: HeatPictureOptions): Drawing {
  const shown = heatPicture(options);
  const { width, height } = shown;
  const { map, signed = false } = options;
  const frame = `<rect x="-0.5" y="-0.5" width="${width + 1}" height="${height + 1}" fill="none" stroke="#d5d8dc"/>`;
  const note = map?.data.every((value) => value === 0) ? emptyNote(width, height, signed) : '';
  return { svg: frame + image(shown, 0, 0) + note, width, height };
}

export interface ColourBarOptions {
  readonly width: number;
  readonly height: number;
  readonly signed?: boolean | undefined;
  readonly colours?: ColourMap | undefined;
  /** Labels with their positions, from 0 (low end) to 1 (high end). */
  readonly ticks: readonly { at: number; label: string }[];
}

/** Draws a colour bar, upright where it is higher than wide, with its labels to the right or below. */
export function colourBar({ width, height, signed = false, colours, ticks }: ColourBarOptions): Drawing {
  const upright = height > width;
  const stops = Array.from({ length: 33 }, (_, i) => {
    const at = i / 32;
    const rgb = signed ? divergingColour(2 * at - 1) : colour(at, colours);
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
