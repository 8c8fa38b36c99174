// Draws the report's plots with Vega, where peers/package.json's packages are installed.

import { camCaseNames, explained } from '../cases.ts';
import { load } from '../peers/load.node.ts';
import type { Results } from '../results.ts';
import type { Plot } from './html.ts';
import { costPlot, rooflinePlot, type Spec, speedPlot } from './plots.ts';

/** What is used of vega-lite and of vega. */
interface VegaLite {
  compile(spec: Spec): { spec: Spec };
}
interface Vega {
  parse(spec: Spec): object;
  View: new (runtime: object, options: { renderer: 'none' }) => { toSVG(): Promise<string> };
}

/** The plots of a run; or a sentence on why there are none. */
export async function drawPlots(results: Results): Promise<Plot[] | string> {
  let lite: VegaLite;
  let vega: Vega;
  try {
    [lite, vega] = await Promise.all([load<VegaLite>('vega-lite'), load<Vega>('vega')]);
  } catch (error) {
    return `The plots are left out: ${(error as Error).message}`;
  }
  const groups = explained.map((e) => {
    const names = camCaseNames(e);
    return { title: e.title, forward: names.forward, cases: [...e.methods.map(names.method), names.shared] };
  });
  const specs = [rooflinePlot(results), speedPlot(results), costPlot(results, groups)];
  return Promise.all(
    specs
      .filter((spec) => spec !== undefined)
      .map(async ({ title, caption, spec }) => {
        const view = new vega.View(vega.parse(lite.compile(spec).spec), { renderer: 'none' });
        return { title, caption, svg: await view.toSVG() };
      }),
  );
}
