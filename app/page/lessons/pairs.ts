// Two rows of numbers beside each other, channel by channel, and the largest gap between them.

import { formatValue } from '../../image/heat.ts';
import { make, svg } from '../dom.ts';

const [WIDTH, HEIGHT] = [560, 150];

export interface Row {
  readonly name: string;
  readonly values: ArrayLike<number>;
}

/** The largest |a - b|. */
export const gap = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

/** Bars for each channel, the first row's at the left of the second's. */
export function pairs(first: Row, second: Row): HTMLElement {
  const largest = Math.max(...[...Array.from(first.values), ...Array.from(second.values)].map(Math.abs)) || 1;
  const step = WIDTH / first.values.length;
  const chart = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: 'img',
    class: 'pairs',
    'aria-label': `${first.name} and ${second.name}, channel by channel`,
  });
  chart.append(svg('line', { x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2, class: 'axis' }));
  for (const [n, { values }] of [first, second].entries()) {
    Array.from(values).forEach((value, k) => {
      const height = (Math.abs(value) / largest) * (HEIGHT / 2 - 2);
      chart.append(
        svg('rect', {
          x: (k + 0.12 + 0.38 * n) * step,
          width: 0.36 * step,
          y: value > 0 ? HEIGHT / 2 - height : HEIGHT / 2,
          height,
          class: n === 0 ? 'one' : 'other',
        }),
      );
    });
  }
  const key = make(
    'p',
    { class: 'key' },
    make('span', { class: 'one' }, first.name),
    make('span', { class: 'other' }, second.name),
  );
  return make('div', {}, chart, key);
}

/** A number that the eye should fall on. */
export const number = (tex: Node, value: number, words: string): HTMLElement =>
  make('p', { class: 'big-number' }, tex, make('strong', {}, formatValue(value)), make('span', {}, words));
