// The report: one HTML file that needs no other.

import { visibleMarkup } from '../../engine/visible.ts';
import type { Results } from '../results.ts';
import type { Table } from './tables.ts';

export interface Plot {
  readonly title: string;
  /** What the plot shows, for those who do not see it. */
  readonly caption: string;
  readonly svg: string;
}

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 2px 10px 2px 0; border-bottom: 1px solid #8884; vertical-align: top; }
figure { margin: 1rem 0; background: #fff; color: #000; padding: 1rem; overflow-x: auto; }
figcaption, .note { color: #777; font-size: 13px; max-width: 75ch; }
.scroll { overflow-x: auto; }
`;

function tableHtml({ title, head, rows, note }: Table): string {
  const cells = (tag: string, row: readonly string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${visibleMarkup(cell)}</${tag}>`).join('')}</tr>`;
  const top = head.some((cell) => cell !== '') ? `<thead>${cells('th', head)}</thead>` : '';
  const body = rows.map((row) => cells('td', row)).join('\n');
  const said = note ? `<p class="note">${visibleMarkup(note)}</p>` : '';
  return `<h2>${visibleMarkup(title)}</h2>\n<div class="scroll"><table>${top}<tbody>\n${body}\n</tbody></table></div>${said}`;
}

const figure = ({ title, caption, svg }: Plot) =>
  `<h2>${visibleMarkup(title)}</h2>\n<figure role="img" aria-label="${visibleMarkup(caption)}">${svg}` +
  `<figcaption>${visibleMarkup(caption)}</figcaption></figure>`;

export function html(results: Results, tables: readonly Table[], plots: readonly Plot[]): string {
  const title = `Limelight bench: ${results.suite} on ${results.environment.adapter}`;
  const [environment, ...rest] = tables;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${visibleMarkup(title)}</title>
<style>${style}</style>
<h1>${visibleMarkup(title)}</h1>
${environment ? tableHtml(environment) : ''}
${plots.map(figure).join('\n')}
${rest.map(tableHtml).join('\n')}
</html>
`;
}
