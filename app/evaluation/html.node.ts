// An evaluation as one HTML file: the table, a plot of each column with its intervals, and the worst pictures.

import { visibleMarkup } from '../../engine/visible.ts';
import type { Pixels } from '../../models/pixels.ts';
import { encodePng } from '../image/decode.ts';
import { heatPicture } from '../image/heat.ts';
import { byLayer } from './measure.ts';
import type { Header, KeptMap } from './record.ts';
import { type Estimate, type Summary, shown } from './summary.ts';

/** A map to show, over its picture where that can be read. */
export interface WorstMap {
  readonly name: string;
  readonly className: string;
  readonly value: string;
  readonly map: KeptMap;
  readonly pixels: Pixels | undefined;
}

const style = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } th, td { padding: .25rem .75rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } tr + tr { border-top: 1px solid #ddd }
small, .faint { color: #666 } figure { display: inline-block; margin: 0 1rem 1rem 0; width: 160px }
figure img { width: 160px; image-rendering: pixelated } figcaption { font-size: 12px; overflow-wrap: anywhere }
.scroll { overflow-x: auto } svg { display: inline-block; margin: 0 1.5rem 1rem 0 }`;

export function evaluationHtml(
  { settings, device }: Header,
  summary: Summary,
  worst: ReadonlyMap<string, readonly WorstMap[]>,
): string {
  const columns = summary.methods[0]?.estimates ?? [];
  const head = columns
    .map(({ column }) => `<th>${visibleMarkup(column.title)}${arrow(column)}</th>`)
    .join('');
  const rows = summary.methods.map(
    ({ method, estimates }) => `<tr><td>${visibleMarkup(method)}</td>${estimates.map(cell).join('')}</tr>`,
  );
  const plots = columns.map((_, i) =>
    plot(
      columns[i]!.column.title + arrow(columns[i]!.column),
      summary.methods.map(({ method, estimates }) => [method, estimates[i]!]),
    ),
  );
  const layers = columns.map((_, i) => layersPlot(summary.methods, i));
  const damaged = summary.damaged.map(
    ({ name, error }) => `<li>${visibleMarkup(name)}: ${visibleMarkup(error)}</li>`,
  );
  const about = Object.entries({ ...settings, device }).map(
    ([name, value]) =>
      `<tr><td>${name}</td><td style="text-align:left">${visibleMarkup(String(value))}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${visibleMarkup(settings.model)} evaluated</title><style>${style}</style>
<h1>${visibleMarkup(settings.model)} on ${visibleMarkup(settings.data)}</h1>
<p>${summary.maps} maps of each method on ${summary.pictures} pictures; in brackets 95 % intervals by the bootstrap over
pictures. ↑: more is better; ↓: less is.</p>
<div class="scroll"><table><tr><th>method</th>${head}</tr>${rows.join('\n')}</table></div>
${layers.some((one) => one) ? `<h2>By layer</h2>${layers.join('\n')}` : ''}
<h2>By column</h2>${plots.join('\n')}
<h2>Worst pictures</h2>${[...worst].map(([method, maps]) => gallery(method, maps)).join('\n')}
${damaged.length > 0 ? `<h2>Not measured</h2><ul>${damaged.join('')}</ul>` : ''}
<h2>Settings</h2><table>${about.join('')}</table></html>
`;
}

const arrow = ({ better }: Estimate['column']): string =>
  ({ higher: ' ↑', lower: ' ↓', none: '' })[better ?? 'none'];

const cell = ({ value, low, high, column: { unit } }: Estimate): string =>
  `<td>${shown(value, unit)} <small>[${shown(low, unit)}, ${shown(high, unit)}]</small></td>`;

const ROW = 22;
const PLOT = 200;

/** A line and a point for each method, from the least to the largest end of their intervals. */
function plot(title: string, rows: readonly (readonly [method: string, estimate: Estimate])[]): string {
  const ends = rows.flatMap(([, { low, high, value }]) => [low, high, value]).filter(Number.isFinite);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const label = 20 + 7 * Math.max(...rows.map(([method]) => method.length));
  const x = (value: number) =>
    Number.isFinite(value) ? label + 10 + ((PLOT - 20) * (value - least)) / (most - least || 1) : label;
  const lines = rows.map(([method, { value, low, high, column }], i) => {
    const y = 34 + ROW * i;
    return `<text x="0" y="${y + 4}">${visibleMarkup(method)}</text>
<line x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}" stroke="#888" stroke-width="2"/>
<circle cx="${x(value)}" cy="${y}" r="4" fill="#c33"><title>${shown(value, column.unit)}</title></circle>`;
  });
  const height = 56 + ROW * rows.length;
  const { unit } = rows[0]![1].column;
  const scale = ends.length === 0 ? [] : [least, most];
  const ticks = scale.map(
    (end) =>
      `<text x="${x(end)}" y="${40 + ROW * rows.length}" text-anchor="middle" fill="#666">${shown(end, unit)}</text>`,
  );
  return `<svg width="${label + PLOT}" height="${height}" font-size="12" role="img" aria-label="${visibleMarkup(title)}">
<text x="0" y="14" font-weight="bold">${visibleMarkup(title)}</text>${lines.join('')}${ticks.join('')}</svg>`;
}

const COLOURS = ['#c33', '#36c', '#283', '#a3a', '#b70', '#088', '#555'];
const STEP = 44;
const HIGH = 180;

/** Column `i` at each layer, a line and its intervals for each method; nothing where there are fewer than three layers. */
function layersPlot(summaries: Summary['methods'], i: number): string {
  const methods = [...byLayer(summaries.map(({ method }) => method))];
  const layers = [...(methods[0]?.[1].keys() ?? [])];
  if (layers.length < 3) return '';
  const found = new Map(summaries.map(({ method, estimates }) => [method, estimates[i]!]));
  const ends = [...found.values()].flatMap(({ low, high }) => [low, high]).filter(Number.isFinite);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const { column } = found.values().next().value!;
  const y = (value: number) => 30 + HIGH * (1 - (value - least) / (most - least || 1));
  const x = (at: number) => 60 + STEP * at;
  const lines = methods.map(([method, rows], m) => {
    const colour = COLOURS[m % COLOURS.length];
    const points = layers.flatMap((layer, at) => {
      const one = found.get(rows.get(layer) ?? '');
      return one && Number.isFinite(one.value) ? [{ ...one, layer, at: x(at) + 3 * m }] : [];
    });
    const marks = points.map(
      ({ at, layer, value, low, high }) =>
        `<line x1="${at}" x2="${at}" y1="${y(low)}" y2="${y(high)}" stroke="${colour}"/>
<circle cx="${at}" cy="${y(value)}" r="3" fill="${colour}"><title>${visibleMarkup(`${method}, ${layer}`)}: ${shown(value, column.unit)}</title></circle>`,
    );
    const path = points.map(({ at, value }) => `${at},${y(value)}`).join(' ');
    const legend = `<text x="${x(layers.length)}" y="${40 + 18 * m}" fill="${colour}">${visibleMarkup(method)}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colour}"/>${marks.join('')}${legend}`;
  });
  const names = layers.map(
    (layer, at) =>
      `<text transform="translate(${x(at)} ${HIGH + 46}) rotate(40)" fill="#666">${visibleMarkup(layer)}</text>`,
  );
  const scale = [least, most].map(
    (end) => `<text x="50" y="${y(end) + 4}" text-anchor="end" fill="#666">${shown(end, column.unit)}</text>`,
  );
  const title = column.title + arrow(column);
  return `<svg width="${x(layers.length) + 180}" height="${HIGH + 170}" font-size="12" role="img" aria-label="${visibleMarkup(title)} by layer">
<text x="0" y="14" font-weight="bold">${visibleMarkup(title)}</text>${lines.join('')}${names.join('')}${scale.join('')}</svg>`;
}

const gallery = (method: string, maps: readonly WorstMap[]): string =>
  `<h3>${visibleMarkup(method)}</h3>${maps.map(figure).join('')}`;

function figure({ name, className, value, map, pixels }: WorstMap): string {
  const data = Float32Array.from(Buffer.from(map.bytes, 'base64'), (byte) => byte / 255);
  const heat = { width: map.width, height: map.height, data };
  const black = { width: map.width, height: map.height, rgb: new Uint8Array(3 * map.width * map.height) };
  const drawn = heatPicture({ pixels: pixels ?? black, map: heat, minSide: 160, maxSide: 320 });
  const source = `data:image/png;base64,${Buffer.from(encodePng(drawn)).toString('base64')}`;
  return `<figure><img src="${source}" alt=""><figcaption>${visibleMarkup(name)}<br>class ${visibleMarkup(className)}, ${visibleMarkup(value)}</figcaption></figure>`;
}
