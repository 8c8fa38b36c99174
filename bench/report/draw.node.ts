// The plots of a run as SVG.

import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { camCaseNames, explained } from '../cases.ts';
import type { Results } from '../results.ts';
import type { Plot } from './html.ts';
import { costPlot, heatPlot, type PlotSpec, rooflinePlot, speedPlot } from './plots.ts';

/** Draws a plot. */
export async function draw({ title, caption, spec }: PlotSpec): Promise<Plot> {
  // Plain data, whose type Vega-Lite spells out.
  const view = new View(parse(compile(spec as unknown as TopLevelSpec).spec), { renderer: 'none' });
  return { title, caption, svg: await view.toSVG() };
}

/** The plots of a run. */
export async function drawPlots(results: Results): Promise<Plot[]> {
  const groups = explained.map((e) => {
    const names = camCaseNames(e);
    return { title: e.title, forward: names.forward, cases: [...e.methods.map(names.method), names.shared] };
  });
  const specs = [rooflinePlot(results), heatPlot([results]), speedPlot(results), costPlot(results, groups)];
  return Promise.all(specs.filter((spec) => spec !== undefined).map(draw));
}
