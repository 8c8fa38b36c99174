// One picture with one heat map: title, lines of text, the panel, and a colour bar in raw values.

import type { Pixels } from '../../models/pixels.ts';
import type { ColourMap } from './colour.ts';
import { formatValue, type HeatMap } from './heat.ts';
import { colourBar, panel } from './panel.ts';
import { FAINT_INK, group, INK, renderPng, text, textWidth } from './svg.node.ts';

export interface OverlayOptions {
  readonly pixels: Pixels;
  /** Values 0 to 1 or, where signed, -1 to 1; upsampled to the picture, or not. */
  readonly map: HeatMap;
  /** The raw values of the map at the ends of the colour bar. */
  readonly low: number;
  readonly high: number;
  /** The method. */
  readonly title: string;
  /** Further lines: class with probability and logit; layer and model. */
  readonly lines: readonly string[];
  readonly signed?: boolean;
  readonly colours?: ColourMap | undefined;
  /** A box to be drawn, in pixels of the picture. */
  readonly box?: readonly [x0: number, y0: number, x1: number, y1: number] | undefined;
}

const MARGIN = 24;
const GAP = 16;
/** Text may widen the canvas up to here, beyond that it is shortened. */
const MAX_TEXT_WIDTH = 560;
const MIN_BAR_HEIGHT = 96;
const LINE_HEIGHT = 21;
const TITLE = { size: 20, bold: true };
const LINE = { size: 14, fill: FAINT_INK };

/**
 * Renders a heat map over its picture, as a PNG file. Pictures of less than 320 pixels are enlarged by a whole
 * factor, ones of more than 1024 shrunk.
 *
 * @throws ShapeError, LimelightError as `panel` does.
 */
export function renderOverlay(options: OverlayOptions): Uint8Array {
  const { pixels, map, low, high, title, lines, signed, colours, box } = options;
  const picture = panel({ pixels, map, signed, colours, minSide: 320, maxSide: 1024 });
  const bar = colourBar({
    width: 14,
    height: Math.max(picture.height, MIN_BAR_HEIGHT),
    signed,
    colours,
    ticks: rawTicks(low, high),
  });
  const words = [
    { content: title, y: 18, style: TITLE },
    ...lines.map((line, i) => ({ content: line, y: 44 + LINE_HEIGHT * i, style: LINE })),
  ];
  const widest = Math.max(...words.map(({ content, style }) => Math.ceil(textWidth(content, style))));
  const shown = box ? frame(box, picture.width / pixels.width, pixels) : '';
  const width = Math.max(picture.width + GAP + bar.width, Math.min(widest, MAX_TEXT_WIDTH));
  const header = words.map(({ content, y, style }) => text(content, 0, y, style, width)).join('');
  const top = 20 + LINE_HEIGHT * lines.length + GAP;
  const content = header + group(0, top, picture.svg + shown) + group(picture.width + GAP, top, bar.svg);
  return renderPng(width + 2 * MARGIN, top + bar.height + 2 * MARGIN, group(MARGIN, MARGIN, content));
}

/** A box over a picture that is drawn `scale` times as large: light on dark, to be seen on both. */
function frame(
  [x0, y0, x1, y1]: NonNullable<OverlayOptions['box']>,
  scale: number,
  { width, height }: Pixels,
): string {
  const [left, right] = [x0, x1].map((x) => scale * Math.min(Math.max(x, 0), width)) as [number, number];
  const [top, bottom] = [y0, y1].map((y) => scale * Math.min(Math.max(y, 0), height)) as [number, number];
  const at = `x="${left}" y="${top}" width="${right - left}" height="${bottom - top}" fill="none"`;
  return `<rect ${at} stroke="${INK}" stroke-width="4"/><rect ${at} stroke="#ffffff" stroke-width="2"/>`;
}

/** Ends and middle of a colour bar; only the low end where there is no range. */
function rawTicks(low: number, high: number): { at: number; label: string }[] {
  const at = high === low ? [0] : [0, 0.5, 1];
  return at.map((position) => ({ at: position, label: formatValue(low + (high - low) * position) }));
}
