// Explanations as pictures: one over its picture, or several on a sheet, with what people want to know of them.

import { type Explanation, methodOf } from '../../cam/index.ts';
import { largest, least } from '../../engine/extremes.ts';
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import type { Pixels } from '../../models/pixels.ts';
import type { ColourMap } from './colour.ts';
import { formatValue, type HeatMap, score } from './heat.ts';
import { type OverlayOptions, renderOverlay } from './overlay.ts';
import { renderSheet } from './sheet.ts';

/** An explanation whose map was read. */
export interface Drawable {
  readonly explanation: Pick<
    Explanation,
    'method' | 'layer' | 'classIndex' | 'className' | 'logit' | 'probability'
  >;
  /** At layer resolution [h, w]. */
  readonly map: HostTensor;
  /** What the network saw, to draw over. */
  readonly pixels: Pixels;
  readonly model: string;
  readonly signed: boolean;
  /** The box that is explained, of a detector. */
  readonly box?:
    | { readonly number: number; readonly score: number; readonly edges: NonNullable<OverlayOptions['box']> }
    | undefined;
}

/** The map as it is drawn, divided by `high`, its largest value or, where signed, magnitude. */
function drawn({ map, signed }: Drawable): { map: HeatMap; low: number; high: number } {
  const [height, width] = map.shape as [number, number];
  const high = Math.max(0, largest(map.data), signed ? -least(map.data) : 0);
  const scaled = map.data.map((value) => (high === 0 ? 0 : (signed ? value : Math.max(0, value)) / high));
  return { map: { width, height, data: scaled }, low: signed ? -high : 0, high };
}

const titleOf = (method: string): string => methodOf(method).title;

const classLine = ({ box, explanation: { className, probability, logit } }: Drawable): string =>
  box
    ? `box ${box.number}, ${className}: ${score(box.score)}`
    : probability === null
      ? `${className}: ${logit.toFixed(2)}`
      : `class ${className}: ${score(probability)}, logit ${logit.toFixed(2)}`;

/** An explanation over its picture, as a PNG file. */
export function overlayOf(one: Drawable, colours?: ColourMap): Uint8Array {
  const { explanation, model, pixels, signed, box } = one;
  return renderOverlay({
    ...drawn(one),
    pixels,
    title: titleOf(explanation.method),
    lines: [classLine(one), `layer ${explanation.layer} of ${model}`],
    signed,
    colours,
    box: box?.edges,
  });
}

/** Explanations of one picture on one sheet, a row for each class and layer, as a PNG file. */
export function sheetOf(
  explained: readonly Drawable[],
  about: { readonly title: string; readonly device: string; readonly colours?: ColourMap | undefined },
): Uint8Array {
  const { model, pixels, explanation } = explained[0]!;
  const layers = new Set(explained.map((one) => one.explanation.layer));
  const rowOf = ({ explanation: { classIndex, layer } }: Drawable) => `${classIndex} ${layer}`;
  const rows = [...new Set(explained.map(rowOf))].map((key) => {
    const row = explained.filter((one) => rowOf(one) === key);
    const cells = row.map((one) => ({
      title: titleOf(one.explanation.method),
      caption: `largest value ${formatValue(drawn(one).high)}`,
      pixels,
      map: drawn(one).map,
      signed: one.signed,
    }));
    const picture = { title: 'input', caption: `${pixels.width} × ${pixels.height}`, pixels };
    const line = classLine(row[0]!);
    const label = layers.size > 1 ? `${line}; layer ${row[0]!.explanation.layer}` : line;
    return { label, cells: [picture, ...cells] };
  });
  const lines = [layers.size > 1 ? model : `layer ${explanation.layer} of ${model}`, about.device];
  return renderSheet({ title: about.title, lines, rows, colours: about.colours });
}
