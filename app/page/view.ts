// The page's elements, and how they show what was found.

import { methods } from '../../cam/index.ts';
import { colour } from '../image/colour.ts';
import { formatValue, heatPicture } from '../image/heat.ts';
import type { Answer, Prediction } from './explainer.ts';
import { paint } from './picture.ts';

/** The element of the page with an id. */
export const element = <T extends HTMLElement = HTMLElement>(id: string): T =>
  document.getElementById(id) as T;

/** The long side of a picture on the page, in canvas pixels. */
const SIDES = { minSide: 384, maxSide: 768 } as const;
/** Classes that are listed. */
const MOST_CLASSES = 10;

const percent = (probability: number) => `${(100 * probability).toFixed(1)} %`;

/** An element with text or children. */
function make(tag: string, attributes: Readonly<Record<string, string>>, ...children: (Node | string)[]) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A radio button with its label. */
function choice(group: string, value: string, checked: boolean, ...content: (Node | string)[]): HTMLElement {
  const attributes = { type: 'radio', name: group, value, ...(checked && { checked: '' }) };
  return make('label', { class: 'choice' }, make('input', attributes), ...content);
}

/** Replaces all but the legend of a fieldset. */
function fill(fieldset: HTMLElement, choices: readonly HTMLElement[]): void {
  fieldset.replaceChildren(fieldset.querySelector('legend')!, ...choices);
}

/** Fills a select. */
export function showOptions(
  select: HTMLSelectElement,
  options: readonly (readonly [value: string, label: string])[],
  chosen: string,
): void {
  select.replaceChildren(
    ...options.map(([value, label]) => new Option(label, value, false, value === chosen)),
  );
}

export function showMethods(chosen: string): void {
  const choices = [...methods.values()].map(({ name, title }) =>
    choice('method', name, name === chosen, title),
  );
  fill(element('methods'), choices);
}

/** Shows what the network sees and predicts. */
export function showPrediction(
  { network, seen, classes, layers }: Prediction,
  layer: string,
  chosen: number,
): void {
  paint(element<HTMLCanvasElement>('picture'), heatPicture({ pixels: seen, ...SIDES }));
  element('summary').textContent = network.summary;
  element('picture').setAttribute('aria-label', `the picture as ${network.name} sees it`);
  element('picture-caption').textContent = `What ${network.name} sees: ${seen.width} × ${seen.height}`;
  showOptions(
    element<HTMLSelectElement>('layer'),
    layers.map(({ name, shape }) => [name, `${name}: ${shape.slice(1).join(' × ')}`] as const),
    layer,
  );
  fill(
    element('classes'),
    classes.slice(0, MOST_CLASSES).map(({ index, name, logit, probability }) => {
      const parts =
        probability === null
          ? [make('span', { class: 'number' }, formatValue(logit))]
          : [
              make('span', { class: 'number' }, percent(probability)),
              make('meter', { value: String(probability), 'aria-hidden': 'true' }),
            ];
      return choice('class', String(index), index === chosen, make('span', {}, name), ...parts);
    }),
  );
}

/** Shows an explanation over the picture that the network sees. */
export function showAnswer(
  { seen, network }: Prediction,
  found: Answer,
  layer: string,
  className: string,
): void {
  const { map, high, title, probability, logit, milliseconds, notes } = found;
  paint(element<HTMLCanvasElement>('overlay'), heatPicture({ pixels: seen, map, ...SIDES }));
  const what = `${title} of class ${className} at ${layer}, ${map.width} × ${map.height}`;
  element('overlay').setAttribute('aria-label', what);
  element('overlay-caption').textContent =
    `${what}. Red: most evidence for the class; untouched: none. The bar is in the method's own units.`;
  element('explanation').hidden = false;
  showBar(high);
  const empty = high === 0 ? ['There is no positive evidence for this class.'] : [];
  const line = `${network.name}, class ${className}: ${probability === null ? '' : `${percent(probability)}, `}logit ${formatValue(logit)}. ${title} took ${milliseconds.toFixed(0)} ms.`;
  say([line, ...empty, ...notes].join('\n'));
}

/** The colour bar, in raw values of the map. */
function showBar(high: number): void {
  const stops = Array.from({ length: 33 }, (_, i) => `rgb(${colour(i / 32)})`);
  const bar = element('bar');
  bar.style.background = `linear-gradient(to top, ${stops})`;
  const ticks = high === 0 ? [0] : [0, 0.5, 1];
  bar.replaceChildren(
    ...ticks.map((at) => {
      const label = make('span', {}, formatValue(at * high));
      label.style.bottom = `${100 * at}%`;
      return label;
    }),
  );
}

/** One or several lines on what goes on. */
export function say(text: string, problem = false): void {
  element('status').textContent = text;
  element('status').classList.toggle('problem', problem);
}
