// The strip: the channels of a layer from the most important on, each as A_k | dS/dA_k | w_k | w_k A_k | the sum so far. A
// channel that is clicked is taken out.

import type { ColourMap } from '../../image/colour.ts';
import { formatValue } from '../../image/heat.ts';
import { button, make } from '../dom.ts';
import type { Values } from '../work/subject.ts';
import type { TermValues } from '../work/tasks.ts';
import { rendered } from './formula.ts';
import { mapWithout, type Parts } from './parts.ts';
import { scaleOf, thumb } from './thumb.ts';

export interface StripOptions {
  readonly parts: Parts;
  readonly featureMap: Values;
  readonly terms: readonly TermValues[];
  readonly without: ReadonlySet<number>;
  /** How many channels are shown. */
  readonly count: number;
  readonly colours: ColourMap;
  readonly toggle: (channel: number) => void;
}

/** The heads of the columns, each lighting up with its symbol. */
const head = (symbol: string, tex: string, words: string) =>
  make('div', { class: 'head', 'data-symbol': symbol }, rendered(tex), make('span', {}, words));

export function strip({
  parts,
  featureMap,
  terms,
  without,
  count,
  colours,
  toggle,
}: StripOptions): HTMLElement {
  const { width, height, order, weights, data, tex } = parts;
  const area = height * width;
  const plane = (values: Float32Array, k: number) => values.subarray(k * area, (k + 1) * area);
  const gradient = terms.find(({ symbol, shape }) => symbol === 'g_k' && shape.length === 4)?.data;
  const hasWeights = terms.some(({ symbol }) => symbol === 'w_k');
  const shown = order.slice(0, count);
  const scales = {
    a: scaleOf(featureMap.data),
    g: gradient && scaleOf(gradient),
    part: scaleOf(...shown.map((k) => plane(data, k))),
    sum: scaleOf(mapWithout(parts, new Set())),
  };
  const largest = Math.max(...weights.map(Math.abs)) || 1;
  const out = new Set(order);
  const rows = shown.map((k) => {
    if (!without.has(k)) out.delete(k);
    const weight = weights[k]!;
    const bar = make('span', { class: weight < 0 ? 'weight negative' : 'weight' });
    bar.style.setProperty('--share', String(Math.abs(weight) / largest));
    const cell = (symbol: string, content: Node) => make('span', { 'data-symbol': symbol }, content);
    return button(
      {
        class: without.has(k) ? 'channel out' : 'channel',
        'aria-pressed': String(without.has(k)),
        title: 'Take this channel out of the network',
        'data-channel': String(k),
      },
      () => toggle(k),
      make('span', { class: 'number' }, String(k)),
      cell('A_k', thumb(plane(featureMap.data, k), width, scales.a, colours)),
      ...(gradient ? [cell('g_k', thumb(plane(gradient, k), width, scales.g!, colours))] : []),
      make(
        'span',
        { 'data-symbol': 'w_k', class: 'weight-cell' },
        bar,
        make('span', { class: 'number' }, formatValue(weight)),
      ),
      cell('part', thumb(plane(data, k), width, { ...scales.part, signed: true }, colours)),
      cell('M', thumb(mapWithout(parts, out), width, { ...scales.sum, signed: true }, colours)),
    );
  });
  const heads = [
    make('div', { class: 'head' }, make('span', {}, 'channel')),
    head('A_k', 'A_k', 'the channel'),
    ...(gradient ? [head('g_k', '\\partial S / \\partial A_k', 'its gradient')] : []),
    head('w_k', hasWeights ? 'w_k' : '\\textstyle\\sum_{xy}', hasWeights ? 'its weight' : 'its sum'),
    head('part', tex, 'its part'),
    head('M', '\\textstyle\\sum', 'the sum so far'),
  ];
  const grid = make(
    'div',
    { class: gradient ? 'strip with-gradient' : 'strip' },
    make('div', { class: 'heads' }, ...heads),
    ...rows,
  );
  return grid;
}
