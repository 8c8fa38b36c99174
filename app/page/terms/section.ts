// "Every term of the formula": the section below the maps, for one of the explanations that stand there.

import { methodOf, methods } from '../../../cam/index.ts';
import { messageOf } from '../../../engine/platform/errors.ts';
import { formatValue } from '../../image/heat.ts';
import { ask, CancelledError } from '../ask.ts';
import { button, choice, element, make, percent, refill } from '../dom.ts';
import { bar } from '../maps.ts';
import type { Choices } from '../state.ts';
import type { Values } from '../work/subject.ts';
import type { Answer, Asked, TermValues } from '../work/tasks.ts';
import { formula, lightUp } from './formula.ts';
import { cellParts, mapWithout, type Parts, partsOf, summed } from './parts.ts';
import { strip } from './strip.ts';
import { scaleOf, thumb } from './thumb.ts';

/** Channels that are shown at first, and parts of a cell. */
const FIRST_CHANNELS = 8;
const MOST_PARTS = 6;

/** An explanation with all its numbers, and what is done to it. */
interface Shown {
  readonly asked: Asked;
  readonly answer: Answer;
  readonly featureMap: Values;
  terms: readonly TermValues[];
  parts: Parts | undefined;
  /** The terms with the weights' means as sums, or with the sums as means again; undefined where weights are no means. */
  others: readonly TermValues[] | undefined;
  readonly without: Set<number>;
  count: number;
  cell: number;
  /** Whether the map is cut off at zero. */
  relu: boolean;
  isSum: boolean;
  /** The score without the channels that are out, or why there is none. */
  score: { readonly logit: number; readonly probability: number | null } | string | undefined;
}

let now: Shown | undefined;
let newest = 0;
let look: Choices;

/** A method and its variants, which its name begins: Score-CAM with its softmax, Grad-CAM++ with true derivatives. */
function familyOf(name: string): readonly string[] {
  const names = [...methods.keys()];
  const root = names
    .filter((one) => name === one || name.startsWith(`${one}-`))
    .sort((a, b) => a.length - b.length)[0]!;
  return names.filter((one) => one === root || one.startsWith(`${root}-`));
}

/** Shows the terms of one of the explanations; `choose` takes another method in its place. */
export async function showTerms(
  explained: readonly (readonly [Asked, Answer])[],
  choices: Choices,
  choose: (change: Partial<Choices>) => void,
): Promise<void> {
  const mine = ++newest;
  look = choices;
  const same = explained.find(
    ([asked]) => asked.method === now?.asked.method && asked.classIndex === now.asked.classIndex,
  );
  const [asked, answer] = same ?? explained[0]!;
  showPicker(explained, asked, choices, choose);
  const key = ({ subject, ...rest }: Asked) => JSON.stringify([subject.picture.id, subject.network, rest]);
  if (now && key(now.asked) === key(asked)) return draw();
  element('terms-body').ariaBusy = 'true';
  try {
    const { featureMap, terms } = await ask('terms', asked, `The terms of ${answer.title}`);
    if (mine !== newest) return;
    const { relu } = methodOf(asked.method);
    const parts = partsOf(featureMap, terms);
    const map = terms.find(({ symbol }) => symbol === 'M')!.data;
    const peak = map.reduce((best, value, i) => (value > map[best]! ? i : best), 0);
    now = {
      asked,
      answer,
      featureMap,
      terms,
      parts,
      without: new Set(),
      count: FIRST_CHANNELS,
      cell: peak,
      relu,
      isSum: false,
      others: summed(terms, featureMap.shape[2]! * featureMap.shape[3]!),
      score: undefined,
    };
    draw();
  } catch (error) {
    if (error instanceof CancelledError || mine !== newest) return;
    now = undefined;
    element('terms-body').replaceChildren(make('p', { class: 'problem' }, messageOf(error)));
  } finally {
    if (mine === newest) element('terms-body').ariaBusy = 'false';
  }
}

/** Which explanation is shown, and the variants of its method. */
function showPicker(
  explained: readonly (readonly [Asked, Answer])[],
  asked: Asked,
  choices: Choices,
  choose: (change: Partial<Choices>) => void,
): void {
  const which = explained.map(([one, answer]) => {
    const picked = choice(
      'radio',
      'term',
      `${one.method} ${one.classIndex}`,
      one === asked,
      `${answer.title}, class ${answer.className}`,
    );
    picked.addEventListener('change', () => {
      now = undefined;
      const first = explained.find(([other]) => other === one)!;
      void showTerms([first, ...explained.filter((other) => other !== first)], choices, choose);
    });
    return picked;
  });
  const family = familyOf(asked.method);
  const variants = family.map((name) => {
    const picked = choice('radio', 'variant', name, name === asked.method, methodOf(name).title);
    picked.addEventListener('change', () =>
      choose({ methods: choices.methods.map((one) => (one === asked.method ? name : one)) }),
    );
    return picked;
  });
  refill(
    element('terms-picker'),
    ...(explained.length > 1
      ? [make('div', { class: 'row', role: 'radiogroup', 'aria-label': 'Explanation' }, ...which)]
      : []),
    ...(family.length > 1
      ? [make('div', { class: 'row', role: 'radiogroup', 'aria-label': 'Variant' }, ...variants)]
      : []),
  );
}

function draw(): void {
  if (!now) return;
  const { asked, terms, parts, featureMap, without, count } = now;
  const method = methodOf(asked.method);
  const more =
    parts && count < parts.channels
      ? [
          button(
            { id: 'more-channels' },
            () =>
              redraw(() => {
                now!.count = parts.channels;
              }),
            `Show all ${parts.channels} channels`,
          ),
        ]
      : [];
  refill(
    element('terms-body'),
    formula(method, terms),
    make(
      'div',
      { class: 'sum' },
      mapPanel(),
      ...(parts
        ? []
        : [
            make(
              'p',
              {},
              `${method.title}'s map is no sum over channels: each position is measured by itself.`,
            ),
          ]),
    ),
    ...(parts
      ? [strip({ parts, featureMap, terms, without, count, colours: look.colours, toggle }), ...more]
      : []),
  );
}

function redraw(change: () => void): void {
  change();
  draw();
}

/** Takes a channel out, or puts it back; the score follows from the network, the map from the parts. */
async function toggle(channel: number): Promise<void> {
  const shown = now!;
  if (!shown.without.delete(channel)) shown.without.add(channel);
  shown.score = undefined;
  draw();
  if (shown.without.size === 0) return;
  const { subject, classIndex } = shown.asked;
  const { layer } = shown.answer;
  const channels = [...shown.without];
  const score = await ask(
    'ablate',
    { subject, layer, classIndex, channels },
    'The score without channels',
  ).catch((error: unknown) => messageOf(error));
  if (now !== shown || channels.join() !== [...shown.without].join()) return;
  shown.score = score;
  draw();
}

/** The map, a cell of it with its parts, and the score. */
function mapPanel(): HTMLElement {
  const { parts, terms, without, relu, answer } = now!;
  const term = terms.find(({ symbol }) => symbol === 'M')!;
  const [height, width] = term.shape as readonly [number, number];
  const whole = parts && without.size > 0 ? mapWithout(parts, without) : term.data;
  const values = relu ? whole.map((value) => Math.max(0, value)) : whole;
  const scale = relu
    ? { high: scaleOf(term.data.map((value) => Math.max(0, value))).high, signed: false }
    : { ...scaleOf(term.data), signed: true };
  const canvas = thumb(values, width, scale, look.colours);
  const readout = make('div', { class: 'readout', 'aria-live': 'polite' });
  const mark = make('span', { class: 'mark' });
  const point = (cell: number) => {
    now!.cell = cell;
    const [x, y] = [cell % width, Math.floor(cell / width)];
    for (const [name, value] of Object.entries({
      left: x / width,
      top: y / height,
      width: 1 / width,
      height: 1 / height,
    }))
      mark.style.setProperty(name, `${100 * value}%`);
    readout.replaceChildren(...cellWords(cell, x, y, whole[cell]!));
  };
  const board = make(
    'div',
    {
      class: 'board',
      tabindex: '0',
      role: 'application',
      'aria-label': 'the map; arrow keys choose a cell',
      'data-symbol': 'M',
    },
    canvas,
    mark,
  );
  board.addEventListener('pointermove', ({ clientX, clientY }) => {
    const { left, top, width: w, height: h } = board.getBoundingClientRect();
    const at = (position: number, size: number, cells: number) =>
      Math.min(cells - 1, Math.max(0, Math.floor((position / size) * cells)));
    point(at(clientY - top, h, height) * width + at(clientX - left, w, width));
  });
  board.addEventListener('keydown', (event) => {
    const steps: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = [(now!.cell % width) + step[0], Math.floor(now!.cell / width) + step[1]];
    if (x >= 0 && x < width && y >= 0 && y < height) point(y * width + x);
  });
  point(now!.cell);
  const cut = choice('checkbox', 'relu', 'relu', relu, 'ReLU');
  cut.addEventListener('change', () =>
    redraw(() => {
      now!.relu = !relu;
    }),
  );
  return make(
    'div',
    { class: 'map-panel' },
    make('div', { class: 'with-bar' }, board, bar(scale.high, scale.signed, look.colours)),
    make('div', {}, scoreLine(answer), make('div', { class: 'row' }, cut, ...meanOrSum()), readout),
  );
}

/** Whether weights are means over positions, as the paper has them, or sums: then they are CAM's where CAM is defined. */
function meanOrSum(): HTMLElement[] {
  const { others, isSum } = now!;
  if (!others) return [];
  return (['mean over positions', 'sum'] as const).map((name) => {
    const picked = choice('radio', 'pooling', name, (name === 'sum') === isSum, name);
    picked.addEventListener('change', () =>
      redraw(() => {
        now!.isSum = !isSum;
        [now!.terms, now!.others] = [others, now!.terms];
        now!.parts = partsOf(now!.featureMap, now!.terms);
      }),
    );
    return picked;
  });
}

const scoreWords = (logit: number, probability: number | null) =>
  `${formatValue(logit)}${probability === null ? '' : ` (${percent(probability)})`}`;

function scoreLine({ className, logit, probability }: Answer): HTMLElement {
  const { without, score } = now!;
  const before = `Logit of class ${className}: ${scoreWords(logit, probability)}`;
  if (without.size === 0)
    return make('p', { class: 'score' }, before, make('span', {}, 'Click a channel to take it out.'));
  const what = `without channel${without.size > 1 ? 's' : ''} ${[...without].join(', ')}: `;
  return make(
    'p',
    { class: 'score' },
    before,
    make(
      'strong',
      {},
      what,
      typeof score === 'object' ? scoreWords(score.logit, score.probability) : (score ?? '…'),
    ),
  );
}

/** What a cell is made of, in numbers. */
function cellWords(cell: number, x: number, y: number, value: number): HTMLElement[] {
  const { parts, without } = now!;
  const title = make('p', {}, make('strong', {}, `M(${x}, ${y}) = ${formatValue(value)}`));
  if (!parts) return [title];
  const found = cellParts(parts, cell, without);
  const listed = found.slice(0, MOST_PARTS);
  const rest = found.slice(MOST_PARTS).reduce((sum, { part }) => sum + part, 0);
  const largest = Math.max(Math.abs(rest), ...listed.map(({ part }) => Math.abs(part))) || 1;
  const row = (name: string, part: number) => {
    const weight = make('span', { class: part < 0 ? 'weight negative' : 'weight' });
    weight.style.setProperty('--share', String(Math.abs(part) / largest));
    return make(
      'li',
      {},
      make('span', {}, name),
      weight,
      make('span', { class: 'number' }, formatValue(part)),
    );
  };
  const rows = listed.map(({ channel, part }) => row(`channel ${channel}`, part));
  const others = found.length - listed.length;
  return [
    title,
    make('ul', { class: 'cell-parts' }, ...rows, ...(others > 0 ? [row(`${others} others`, rest)] : [])),
  ];
}

lightUp(element('terms'));
