// Maps over pictures: one figure for each class and method, the difference of two, and the colour bar with its numbers.

import type { Pixels } from '../../models/pixels.ts';
import { type ColourMap, colour, divergingColour } from '../image/colour.ts';
import { formatValue, type HeatMap, heatPicture } from '../image/heat.ts';
import { make, percent } from './dom.ts';
import { paint } from './picture.ts';
import { measured, type Truth } from './truth.ts';
import type { Values } from './work/subject.ts';
import type { Answer } from './work/tasks.ts';

/** The long side of a picture on the page, in canvas pixels. */
export const SIDES = { minSide: 384, maxSide: 768 } as const;

/** How maps are drawn. */
export interface Look {
  readonly signed: boolean;
  /** In percent. */
  readonly opacity: number;
  readonly colours: ColourMap;
}

/** A map as it is drawn: 0 to 1, or -1 to 1 where signed, and the value that is 1. */
export interface Drawn {
  readonly map: HeatMap;
  readonly high: number;
  readonly signed: boolean;
}

/** A map in its units, cut off at zero unless it is to keep its sign. */
export function drawn({ shape, data }: Values, signed: boolean): Drawn {
  const [height, width] = shape as readonly [number, number];
  const kept = signed ? data : data.map((value) => Math.max(0, value));
  const high = kept.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return {
    map: { width, height, data: high === 0 ? kept : kept.map((value) => value / high) },
    high,
    signed,
  };
}

/** One map minus another, each divided by its maximum: methods have units of their own. Undefined where sizes differ. */
export function difference(a: Answer, b: Answer, signed: boolean): Drawn | undefined {
  const [one, other] = [drawn(a.map, signed), drawn(b.map, signed)];
  if (one.map.width !== other.map.width || one.map.height !== other.map.height) return undefined;
  const data = one.map.data.map((value, i) => value - other.map.data[i]!);
  return drawn({ shape: a.map.shape, data }, true);
}

/** A colour bar, high end up, with numbers. */
export function bar(high: number, signed: boolean, colours: ColourMap): HTMLElement {
  const stops = Array.from({ length: 33 }, (_, i) => {
    const at = i / 32;
    return `rgb(${signed ? divergingColour(2 * at - 1) : colour(at, colours)})`;
  });
  const low = signed ? -high : 0;
  const ticks = high === 0 ? [0] : [0, 0.5, 1];
  const scale = make(
    'div',
    { class: 'bar', 'aria-hidden': 'true' },
    ...ticks.map((at) => {
      const label = make('span', {}, formatValue(low + at * (high - low)));
      label.style.bottom = `${100 * at}%`;
      return label;
    }),
  );
  scale.style.setProperty('--scale', `linear-gradient(to top, ${stops})`);
  return scale;
}

/** A picture with a map over it, its colour bar, and what is said of it. */
export function figure(
  seen: Pixels,
  { map, high, signed }: Drawn,
  look: Look,
  words: { readonly title: string; readonly what: string; readonly lines: readonly string[] },
): HTMLElement {
  const canvas = make('canvas', { role: 'img', 'aria-label': `${words.title}, ${words.what}` });
  paint(
    canvas,
    heatPicture({ pixels: seen, map, signed, colours: look.colours, opacity: look.opacity / 100, ...SIDES }),
  );
  return make(
    'figure',
    {},
    make('figcaption', {}, make('strong', {}, words.title), make('span', {}, words.what)),
    make('div', { class: 'with-bar' }, canvas, bar(high, signed, look.colours)),
    make('ul', { class: 'notes' }, ...words.lines.map((line) => make('li', {}, line))),
  );
}

/** The picture as the network sees it. */
export function pictureFigure(seen: Pixels, name: string): HTMLElement {
  const canvas = make('canvas', { role: 'img', 'aria-label': `the picture as ${name} sees it` });
  paint(canvas, heatPicture({ pixels: seen, ...SIDES }));
  return make(
    'figure',
    { class: 'picture' },
    make(
      'figcaption',
      {},
      make('strong', {}, 'The picture'),
      make('span', {}, `as ${name} sees it, ${seen.width} × ${seen.height}`),
    ),
    make('div', { class: 'with-bar' }, canvas),
  );
}

/** The figure of an explanation. */
export function answerFigure(
  seen: Pixels,
  answer: Answer,
  look: Look,
  truth: Truth | undefined,
): HTMLElement {
  const shown = drawn(answer.map, look.signed);
  const { title, className, layer, probability, logit, notes, milliseconds, map } = answer;
  return figure(seen, shown, look, {
    title,
    what: `class ${className}, ${map.shape.toReversed().join(' × ')} at ${layer}`,
    lines: [
      `${probability === null ? '' : `${percent(probability)}, `}logit ${formatValue(logit)}; ${milliseconds.toFixed(0)} ms`,
      ...(shown.high === 0 ? ['There is no positive evidence for this class.'] : []),
      ...(truth && shown.high > 0 ? measured(truth, shown.map, answer) : []),
      ...notes,
    ],
  });
}

/** A place for a map that is not there yet, or cannot be. */
export function emptyFigure(title: string, what: string, why: string, problem: boolean): HTMLElement {
  return make(
    'figure',
    { class: problem ? 'empty problem' : 'empty' },
    make('figcaption', {}, make('strong', {}, title), make('span', {}, what)),
    make('p', {}, why),
  );
}
