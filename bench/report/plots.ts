// The plots as Vega-Lite specifications (https://vega.github.io/vega-lite): data in, data out; draw.node.ts draws them.

import { webgpuPeers } from '../bars.ts';
import { labelOf, type Results } from '../results.ts';
import { intensity, roof } from '../roofline.ts';
import { sharesOf } from '../shares.ts';
import { median } from '../statistics.ts';

/** A Vega-Lite specification, as plain data. */
export type Spec = Readonly<Record<string, unknown>>;

export interface PlotSpec {
  readonly title: string;
  readonly caption: string;
  readonly spec: Spec;
}

/** What all plots share. */
const base = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  config: {
    font: 'system-ui, sans-serif',
    legend: { labelLimit: 280 },
    axisY: { labelLimit: 280 },
    axisX: { labelLimit: 280 },
    line: { color: '#444' },
    rule: { color: '#444' },
  },
};

/** Shapes of dots, those that are told apart most easily first. */
const SHAPES = [
  ...[
    'circle',
    'square',
    'triangle-up',
    'cross',
    'diamond',
    'triangle-down',
    'triangle-right',
    'triangle-left',
  ],
  ...['wedge', 'arrow', 'stroke', 'triangle'],
];

interface Dot {
  readonly case: string;
  readonly engine: string;
  readonly intensity: number;
  readonly gflops: number;
}

/** A dot for each engine and case that has work to tell. */
function dots(results: Results): Dot[] {
  return results.measurements.flatMap((m) => {
    const work = results.work[m.case];
    if (work === undefined || 'failed' in m.outcome) return [];
    const rate = work.flops / median(m.outcome.samples) / 1e6;
    return [{ case: m.case, engine: labelOf(m), intensity: intensity(work), gflops: rate }];
  });
}

const axis = (title: string) => ({
  type: 'quantitative',
  scale: { type: 'log', nice: false, padding: 10 },
  title,
});

/** Operations a second over operations a byte, under the adapter's measured peaks; both axes logarithmic. */
export function rooflinePlot(results: Results): PlotSpec | undefined {
  const points = dots(results);
  if (points.length === 0) return undefined;
  const { peaks } = results;
  const ridge = peaks.flops / peaks.bandwidth;
  const at = points.map((p) => p.intensity);
  const ends = [Math.min(...at, ridge) / 2, ridge, Math.max(...at, ridge) * 2];
  const line = ends.map((x) => ({ intensity: x, gflops: roof(x, peaks) / 1e9 }));
  const x = { field: 'intensity', ...axis('operations a byte') };
  const y = { field: 'gflops', ...axis('GFLOP/s') };
  return {
    title: 'Roofline',
    caption:
      `The line is what the adapter can do: ${(peaks.bandwidth / 1e9).toFixed(1)} GB/s copied, ` +
      `${(peaks.flops / 1e9).toFixed(0)} GFLOP/s multiplied and added in registers. A dot is one engine on one case; ` +
      'dots above the line are done by fewer operations than the direct algorithm, or from a cache.',
    spec: {
      ...base,
      width: 640,
      height: 400,
      layer: [
        { data: { values: line }, mark: 'line', encoding: { x, y } },
        {
          data: { values: points },
          mark: { type: 'point', filled: true, size: 70, opacity: 0.8, tooltip: true },
          encoding: {
            x,
            y,
            color: {
              field: 'case',
              type: 'nominal',
              sort: null,
              title: 'case',
              scale: { scheme: 'tableau20' },
            },
            shape: {
              field: 'engine',
              type: 'nominal',
              sort: null,
              title: 'engine',
              scale: { range: SHAPES },
            },
          },
        },
      ],
    },
  };
}

/** How many times as fast as Limelight each other engine, or variant, is on each case; 1 is Limelight. */
export function speedPlot(results: Results): PlotSpec | undefined {
  const values = results.measurements.flatMap((m) => {
    if ('failed' in m.outcome) return [];
    const ours = results.measurements.find(
      (o) => o.case === m.case && o.engine === 'limelight' && o.variant === undefined,
    );
    if (ours === undefined || ours === m || 'failed' in ours.outcome) return [];
    return [
      { case: m.case, engine: labelOf(m), speed: median(ours.outcome.samples) / median(m.outcome.samples) },
    ];
  });
  if (values.length === 0) return undefined;
  const against = results.measurements.some((m) => webgpuPeers.includes(m.engine)) ? 'Peers' : 'Variants';
  return {
    title: `${against} beside Limelight`,
    caption: `Speed on each case as a multiple of Limelight's, the line at 1; logarithmic. Left of the line is slower.`,
    spec: {
      ...base,
      width: 560,
      height: { step: 9 },
      data: { values },
      layer: [
        {
          mark: { type: 'bar', tooltip: true },
          encoding: {
            y: { field: 'case', type: 'nominal', sort: null, title: null },
            yOffset: { field: 'engine', type: 'nominal', sort: null },
            x: { field: 'speed', ...axis('speed, Limelight = 1') },
            x2: { datum: 1 },
            color: { field: 'engine', type: 'nominal', sort: null, title: null },
          },
        },
        { mark: 'rule', encoding: { x: { datum: 1 } } },
      ],
    },
  };
}

/** Variants over cases, a block a machine: each tile coloured by its share of the best variant there. */
export function heatPlot(all: readonly Results[]): PlotSpec | undefined {
  const machines = all.map(sharesOf).filter((shares) => shares.length > 0);
  if (machines.length === 0) return undefined;
  const y = { field: 'variant', type: 'nominal', sort: null, title: null };
  const x = {
    field: 'case',
    type: 'nominal',
    sort: null,
    title: null,
    axis: { labelAngle: -35, labelLimit: 280 },
  };
  const text = { field: 'ofBest', type: 'quantitative', format: '.0%' };
  const light = { condition: { test: 'datum.ofBest > 0.55', value: '#000' }, value: '#fff' };
  return {
    title: 'Share of own best',
    caption:
      "Speed of each variant of a kernel as a share of the best variant's on the same adapter and case: 100 % is the " +
      'best, "chosen" what the engine takes by itself. A variant without a tile is not for that case, or not measured.',
    spec: {
      ...base,
      vconcat: machines.map((values) => ({
        title: { text: values[0]!.machine, anchor: 'start', fontSize: 11 },
        data: { values },
        width: { step: 46 },
        height: { step: 22 },
        encoding: { x, y },
        layer: [
          {
            mark: { type: 'rect', tooltip: true },
            encoding: {
              color: {
                field: 'ofBest',
                type: 'quantitative',
                scale: { scheme: 'viridis', domain: [0, 1] },
                legend: null, // each tile says its number
              },
            },
          },
          { mark: { type: 'text', fontSize: 10 }, encoding: { text, color: light } },
        ],
      })),
    },
  };
}

/** Median time of each explanation in forward passes of its network. */
export function costPlot(
  results: Results,
  groups: readonly { readonly title: string; readonly forward: string; readonly cases: readonly string[] }[],
): PlotSpec | undefined {
  const time = (name: string) => {
    const outcome = results.measurements.find((m) => m.case === name && m.variant === undefined)?.outcome;
    return outcome && 'samples' in outcome ? median(outcome.samples) : undefined;
  };
  const values = groups.flatMap(({ title, forward, cases }) => {
    const unit = time(forward);
    if (unit === undefined) return [];
    return cases.flatMap((name) => {
      const ours = time(name);
      const method = name.slice(title.length + 2);
      return ours === undefined ? [] : [{ network: title, method, passes: ours / unit }];
    });
  });
  if (values.length === 0) return undefined;
  return {
    title: 'Cost of a method in forward passes',
    caption:
      'Median time of an explanation, its forward pass included, over that of one forward pass; logarithmic.',
    spec: {
      ...base,
      width: 560,
      height: { step: 14 },
      data: { values },
      mark: { type: 'bar', tooltip: true },
      encoding: {
        y: { field: 'method', type: 'nominal', sort: null, title: null },
        yOffset: { field: 'network', type: 'nominal', sort: null },
        x: { field: 'passes', ...axis('forward passes') },
        x2: { datum: 1 },
        color: { field: 'network', type: 'nominal', sort: null, title: null },
      },
    },
  };
}
