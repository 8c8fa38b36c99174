// A comparison sheet: rows of panels, such as one picture with the map of each method.

import type { Pixels } from '../../models/pixels.ts';
import type { ColourMap } from './colour.ts';
import type { HeatMap } from './heat.ts';
import { colourBar, type Drawing, panel } from './panel.ts';
import { FAINT_INK, group, renderPng, text } from './svg.node.ts';

export interface SheetCell {
  /** The name of the method, or of the picture. */
  readonly title: string;
  /** Below the title: the time taken, say. */
  readonly caption: string;
  readonly pixels: Pixels;
  /** None for the input picture. */
  readonly map?: HeatMap;
  readonly signed?: boolean;
}

export interface SheetRow {
  readonly label: string;
  readonly cells: readonly SheetCell[];
}

export interface SheetOptions {
  readonly title: string;
  readonly lines: readonly string[];
  readonly rows: readonly SheetRow[];
  readonly colours?: ColourMap | undefined;
}

const MARGIN = 32;
const GAP = 16;
const ROW_GAP = 28;
const LINE_HEIGHT = 21;
const LABEL_HEIGHT = 28;
const CAPTION_HEIGHT = 40;
const CELL_SIDE = 224;
const MIN_WIDTH = 480;
const BAR_WIDTH = 224;

/**
 * Renders rows of panels, as a PNG file. Every map is drawn on its own scale, which the colour bar at the foot
 * says.
 *
 * @throws ShapeError, LimelightError as `panel` does.
 */
export function renderSheet({ title, lines, rows, colours }: SheetOptions): Uint8Array {
  const panels = rows.map(({ cells }) =>
    cells.map((cell) => panel({ ...cell, colours, minSide: CELL_SIDE, maxSide: 2 * CELL_SIDE - 1 })),
  );
  const columns = columnPositions(panels);
  const width = Math.max(MIN_WIDTH, columns.at(-1)! - GAP);

  const content = [
    text(title, 0, 18, { size: 22, bold: true }, width),
    ...lines.map((line, i) => text(line, 0, 46 + LINE_HEIGHT * i, { size: 14, fill: FAINT_INK }, width)),
  ];
  let y = 22 + LINE_HEIGHT * lines.length;
  rows.forEach(({ label, cells }, r) => {
    y += ROW_GAP;
    content.push(text(label, 0, y + 12, { size: 15, bold: true }, width));
    y += LABEL_HEIGHT;
    const height = Math.max(0, ...panels[r]!.map((drawing) => drawing.height));
    cells.forEach((cell, c) => {
      const room = columns[c + 1]! - columns[c]! - GAP;
      const words =
        text(cell.title, 0, height + 18, { size: 13, bold: true }, room) +
        text(cell.caption, 0, height + 36, { size: 12, fill: FAINT_INK }, room);
      content.push(group(columns[c]!, y, panels[r]![c]!.svg + words));
    });
    y += height + CAPTION_HEIGHT;
  });

  for (const signed of [false, true]) {
    if (!rows.some(({ cells }) => cells.some((cell) => cell.map && (cell.signed ?? false) === signed)))
      continue;
    const labels = signed ? ['−max', '0', 'max'] : ['0', 'max'];
    const ticks = labels.map((label, i) => ({ at: i / (labels.length - 1), label }));
    const bar = colourBar({ width: BAR_WIDTH, height: 10, signed, colours, ticks });
    y += ROW_GAP;
    content.push(group(0, y, bar.svg));
    const note = 'each map on its own scale';
    content.push(text(note, BAR_WIDTH + GAP, y + 10, { size: 12, fill: FAINT_INK }, width - BAR_WIDTH - GAP));
    y += bar.height;
  }
  return renderPng(width + 2 * MARGIN, y + 2 * MARGIN, group(MARGIN, MARGIN, content.join('')));
}

/** Where each column starts, and where one more would: every column is as wide as its widest panel. */
function columnPositions(panels: readonly (readonly Drawing[])[]): number[] {
  const positions = [0];
  const count = Math.max(0, ...panels.map((row) => row.length));
  for (let c = 0; c < count; c++) {
    const widest = Math.max(CELL_SIDE, ...panels.map((row) => row[c]?.width ?? 0));
    positions.push(positions[c]! + widest + GAP);
  }
  return positions;
}
