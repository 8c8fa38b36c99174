// Text and pictures as SVG, and SVG as PNG: resvg with the DejaVu fonts, so that a sheet looks the same on
// every machine.

import { createRequire } from 'node:module';
import type { Resvg, ResvgRenderOptions } from '@resvg/resvg-js';
import { LimelightError } from '../../engine/errors.ts';
import { visibleMarkup } from '../../engine/visible.ts';
import type { Pixels } from '../../models/pixels.ts';
import { MAX_PIXELS } from '../../models/pixels.ts';
import { OutputError } from './errors.ts';
import { encodePng } from './png.node.ts';

const PAPER = '#ffffff';
export const INK = '#1c1e21';
export const FAINT_INK = '#6a6f76';

const FAMILY = 'DejaVu Sans';
const require = createRequire(import.meta.url);
const options: ResvgRenderOptions = {
  font: {
    loadSystemFonts: false,
    fontFiles: ['DejaVuSans', 'DejaVuSans-Bold'].map((font) =>
      require.resolve(`dejavu-fonts-ttf/ttf/${font}.ttf`),
    ),
    defaultFontFamily: FAMILY,
  },
};
/** No line of text is longer than this; it bounds the time spent on measuring. */
const MAX_CHARACTERS = 300;

/**
 * An SVG document, ready to be drawn. resvg is loaded when first needed: its binary is an optional package, and without it
 * everything works that draws nothing.
 */
const drawing = (svg: string, more: ResvgRenderOptions = {}): Resvg =>
  new (loadResvg().Resvg)(svg, { ...options, ...more });

function loadResvg(): { readonly Resvg: new (svg: string, options: ResvgRenderOptions) => Resvg } {
  try {
    return require('@resvg/resvg-js');
  } catch (cause) {
    throw new OutputError(
      'pictures cannot be drawn: the binary of @resvg/resvg-js, an optional package, is not installed; ' +
        'npm install --include=optional. Numbers need none: predict works without it',
      { cause },
    );
  }
}

export interface TextStyle {
  readonly size: number;
  readonly bold?: boolean;
  readonly fill?: string;
  readonly anchor?: 'start' | 'middle' | 'end';
}

/** A line of text with its baseline at `y`, shortened with an ellipsis where it is wider than `width`. */
export function text(content: string, x: number, y: number, style: TextStyle, width = Infinity): string {
  return textElement(shorten(content, style, width), x, y, style);
}

/** A picture, one pixel of it to one of the canvas. */
export function image(pixels: Pixels, x: number, y: number): string {
  const { width, height } = pixels;
  const data = Buffer.from(encodePng(pixels)).toString('base64');
  return `<image x="${x}" y="${y}" width="${width}" height="${height}" href="data:image/png;base64,${data}"/>`;
}

export function group(x: number, y: number, content: string): string {
  return `<g transform="translate(${x} ${y})">${content}</g>`;
}

/**
 * Renders the content of an SVG document of this size, in pixels, to a PNG file.
 *
 * @throws LimelightError where the canvas is too large to be rendered in reasonable memory.
 */
export function renderPng(width: number, height: number, content: string): Uint8Array {
  if (width * height > MAX_PIXELS) {
    const limit = MAX_PIXELS / 1e6;
    throw new LimelightError(
      `the canvas would be ${width} x ${height}; at most ${limit} megapixels can be drawn, draw fewer rows`,
    );
  }
  return drawing(document(width, height, content), { background: PAPER })
    .render()
    .asPng();
}

/** Width in pixels of a line of text, or of as much of it as would ever be drawn. */
export function textWidth(content: string, style: TextStyle): number {
  const drawn = document(
    1,
    1,
    textElement(content.slice(0, MAX_CHARACTERS), 0, 0, { ...style, anchor: 'start' }),
  );
  const box = drawing(drawn).getBBox();
  return box ? box.x + box.width : 0;
}

function shorten(content: string, style: TextStyle, width: number): string {
  const characters = Array.from(content);
  const whole = characters.length <= MAX_CHARACTERS;
  if (whole && textWidth(content, style) <= width) return content;
  const cut = (length: number) => `${characters.slice(0, length).join('').trimEnd()}…`;
  let [fits, tooLong] = [0, Math.min(characters.length, MAX_CHARACTERS)];
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (textWidth(cut(middle), style) <= width) fits = middle;
    else tooLong = middle;
  }
  return cut(fits);
}

function textElement(content: string, x: number, y: number, style: TextStyle): string {
  const { size, bold = false, fill = INK, anchor = 'start' } = style;
  const weight = bold ? 700 : 400;
  return (
    `<text x="${x}" y="${y}" font-family="${FAMILY}" font-size="${size}" font-weight="${weight}" ` +
    `fill="${fill}" text-anchor="${anchor}">${visibleMarkup(content)}</text>`
  );
}

function document(width: number, height: number, content: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${content}</svg>`;
}
