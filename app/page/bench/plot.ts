// Draws plots with Vega-Lite in the page's colours. Its expressions are interpreted: the content policy allows no eval.

import { parse, View } from 'vega';
import { expressionInterpreter } from 'vega-interpreter';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { PlotSpec } from '../../../bench/report/plots.ts';
import { make } from '../dom.ts';

/** A plot as a figure, in the colours that the page has at this moment. */
export async function plotFigure({ title, caption, spec }: PlotSpec): Promise<HTMLElement> {
  // Custom properties are as they are written, light-dark() included; a colour is computed.
  const probe = document.body.appendChild(make('span'));
  const colour = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const [ink, faint, line] = [colour('ink'), colour('faint'), colour('line')];
  probe.remove();
  const texts = { labelColor: ink, titleColor: ink };
  const config = {
    ...(spec.config as object),
    background: null,
    axis: { ...texts, gridColor: line, domainColor: faint, tickColor: faint },
    legend: { ...texts, labelLimit: 280, symbolFillColor: faint, symbolStrokeColor: faint },
    title: { color: ink },
    view: { stroke: line },
    line: { color: faint },
    rule: { color: faint },
  };
  const drawn = make('div', { class: 'scroll', role: 'img', 'aria-label': caption, tabindex: '0' });
  const vega = compile({ ...spec, config } as unknown as TopLevelSpec).spec;
  const view = new View(parse(vega, undefined, { ast: true }), {
    expr: expressionInterpreter,
    renderer: 'svg',
    container: drawn,
    hover: true,
  });
  await view.runAsync();
  // What it shows is said by the figure.
  drawn.querySelector('svg')!.setAttribute('aria-hidden', 'true');
  return make('figure', {}, make('h3', {}, title), drawn, make('figcaption', {}, caption));
}
