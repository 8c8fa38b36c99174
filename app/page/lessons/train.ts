// Lesson: a network learns while one looks at what it looks at.

import { messageOf } from '../../../engine/platform/errors.ts';
import { random } from '../../../models/train/data/random.ts';
import { formatValue } from '../../image/heat.ts';
import { ask } from '../ask.ts';
import { button, make, svg } from '../dom.ts';
import { drawn, figure } from '../maps.ts';
import { drawShapes, type Learnt, type Round, SHAPES, SIDE } from '../work/train.ts';
import { greyPicture } from './lie.ts';
import { stage } from './stage.ts';

const LOOK = { signed: false, opacity: 70, colours: 'viridis' } as const;
/** A seed whose picture has every shape. */
const [SEED, LARGEST_LOSS] = [9, 0.8];
const [WIDTH, HEIGHT] = [560, 110];

/** The loss of each step so far, from the left to the right edge. */
function lossCurve(losses: readonly number[]): SVGElement {
  const chart = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: 'img',
    class: 'pairs',
    'aria-label': 'the loss of each step',
  });
  const points = losses.map(
    (loss, i) =>
      `${(WIDTH * i) / Math.max(1, losses.length - 1)},${HEIGHT * (1 - Math.min(1, loss / LARGEST_LOSS))}`,
  );
  chart.append(
    svg('line', { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, class: 'axis' }),
    svg('polyline', { points: points.join(' '), class: 'curve' }),
  );
  return chart;
}

export const train = () =>
  stage('train', async (place) => {
    const body = make('div', {});
    const { data } = drawShapes(random(SEED));
    const picture = greyPicture({ shape: [1, 1, SIDE, SIDE], data });
    let learnt: Learnt | undefined;
    let losses: readonly number[] = [];
    /** Whether it is to go on, and whether a round is still at work. */
    let [isOn, isBusy] = [false, false];
    const show = ({ maps, logits }: Round) => {
      const probability = (logit: number) => `${(100 / (1 + Math.exp(-logit))).toFixed(0)} %`;
      const figures = SHAPES.map((name, i) =>
        figure(picture, drawn(maps[i]!, false), LOOK, {
          title: `CAM of ${name}`,
          what: `${probability(logits[i]!)} sure that one is there`,
          lines: [],
        }),
      );
      const recent = losses.slice(-20);
      const loss = recent.reduce((sum, one) => sum + one, 0) / recent.length;
      body.replaceChildren(
        make('div', { class: 'figures three' }, ...figures),
        lossCurve(losses),
        make(
          'p',
          { class: 'big-number' },
          make('strong', {}, formatValue(loss)),
          make('span', {}, `loss over the last ${recent.length} of ${losses.length} steps; chance is 0.693`),
        ),
      );
    };
    const round = async () => {
      const given = { learnt, done: losses.length, watched: data };
      const found = await ask('train', given, 'The network learns', 'lessons');
      if (!isOn) return;
      learnt = found.learnt;
      losses = [...losses, ...found.losses];
      show(found);
    };
    const turn = (on: boolean) => {
      isOn = on;
      start.textContent = on ? 'Stop' : losses.length > 0 ? 'Go on' : 'Train';
      start.ariaPressed = String(on);
    };
    const go = async () => {
      turn(true);
      if (isBusy) return;
      isBusy = true;
      try {
        while (isOn) await round();
      } catch (error) {
        body.append(make('p', { class: 'problem' }, messageOf(error)));
      } finally {
        isBusy = false;
        turn(false);
      }
    };
    const start = button({}, () => (isOn ? turn(false) : void go()), 'Train');
    const anew = button(
      {},
      () => {
        [learnt, losses] = [undefined, []];
        turn(false);
        body.replaceChildren();
      },
      'Begin anew',
    );
    place.replaceChildren(make('div', { class: 'row' }, start, anew), body);
  });
