// Lesson: behind global average pooling, CAM and Grad-CAM are one map. And the lesson that breaks it: another head.

import { ask } from '../ask.ts';
import { make } from '../dom.ts';
import { rendered } from '../terms/formula.ts';
import { gap, number, pairs } from './pairs.ts';
import { attempt, explained, lessonFigure, options, shippedSubject, stage } from './stage.ts';

/** CAM's weights beside Z times Grad-CAM's. */
export const theorem = () =>
  stage('theorem', async (place) => {
    const body = make('div', {});
    const subject = await shippedSubject('scene-2', 'digit-scenes');
    const { seen } = await ask('predict', { subject }, 'A lesson', 'lessons');
    const show = async (digit: string) => {
      const [cam, gradCam] = [
        await explained(subject, 'cam', Number(digit)),
        await explained(subject, 'grad-cam', Number(digit)),
      ];
      const z = gradCam.map.data.length;
      const scaled = gradCam.weights!.map((weight) => z * weight);
      body.replaceChildren(
        make('div', { class: 'figures' }, lessonFigure(seen, cam, ''), lessonFigure(seen, gradCam, '')),
        pairs(
          { name: "CAM's weights", values: cam.weights! },
          { name: "Z times Grad-CAM's", values: scaled },
        ),
        number(
          rendered('\\max_k |w_k - Z g_k| ='),
          gap(cam.weights!, scaled),
          `what rounding leaves of 0; the largest weight is ${Math.max(...cam.weights!.map(Math.abs)).toFixed(2)}`,
        ),
      );
    };
    const chosen = options(
      'Digit',
      ['3', '0', '7', '4'],
      '3',
      (digit) => void attempt(place, () => show(digit)),
    );
    await show('3');
    place.replaceChildren(chosen, body);
  });

/** A dense head: CAM is refused, and Grad-CAM and HiResCAM part. */
export const denseHead = () =>
  stage('dense', async (place) => {
    const body = make('div', {});
    const show = async (network: 'digit-scenes' | 'digit-dense') => {
      const subject = await shippedSubject('scene-1', network);
      const predicted = await ask('predict', { subject }, 'A lesson', 'lessons');
      const { index } = predicted.classes[0]!;
      const [gradCam, hires] = [
        await explained(subject, 'grad-cam', index),
        await explained(subject, 'hires-cam', index),
      ];
      const refusal = await explained(subject, 'cam', index).then(
        () => 'CAM is defined: its map is Z times these.',
        (error: Error) => error.message,
      );
      const total = (values: Float32Array) => values.reduce((sum, value) => sum + Math.abs(value), 0);
      const apart = gradCam.map.data.map((value, i) => value - hires.map.data[i]!);
      body.replaceChildren(
        make('p', { class: 'verdict' }, refusal),
        make(
          'div',
          { class: 'figures' },
          lessonFigure(predicted.seen, gradCam, '', true),
          lessonFigure(predicted.seen, hires, '', true),
        ),
        number(
          rendered(
            '\\frac{\\sum |M_{\\text{Grad-CAM}} - M_{\\text{HiResCAM}}|}{\\sum |M_{\\text{HiResCAM}}|} =',
          ),
          total(apart) / total(hires.map.data),
          'how far the mean of the gradient is from the gradient',
        ),
      );
    };
    const heads = { 'GAP + linear': 'digit-scenes', 'dense head': 'digit-dense' } as const;
    const names = Object.keys(heads) as (keyof typeof heads)[];
    const chosen = options(
      'Head',
      names,
      'dense head',
      (name) => void attempt(place, () => show(heads[name])),
    );
    await show('digit-dense');
    place.replaceChildren(chosen, body);
  });

/** A tail that is bent: Grad-CAM++'s closed form leaves its true derivatives. */
export const bentTail = () =>
  stage('tail', async (place) => {
    const body = make('div', {});
    let [activation, seed]: ['relu' | 'gelu', number] = ['gelu', 1];
    const show = async () => {
      const { closed, exact } = await ask('tail', { activation, seed }, 'A lesson', 'lessons');
      body.replaceChildren(
        pairs(
          { name: 'closed form, equation (19)', values: closed },
          { name: 'true derivatives, equation (10)', values: exact },
        ),
        number(
          rendered('\\max_k |w_k - w_k^{\\text{true}}| ='),
          gap(closed, exact),
          activation === 'relu'
            ? 'what rounding leaves of 0'
            : 'the second and third derivatives are not g² and g³ any more',
        ),
      );
    };
    const again = () => void attempt(place, show);
    const tails = options('Activation', ['relu', 'gelu'], activation, (value) => {
      activation = value;
      again();
    });
    const weights = options('Random weights', ['1', '2', '3'], String(seed) as '1', (value) => {
      seed = Number(value);
      again();
    });
    await show();
    place.replaceChildren(tails, weights, body);
  });

/** Score-CAM's softmax: no weight is more than e times another, whatever the class. */
export const softmax = () =>
  stage('softmax', async (place) => {
    const body = make('div', {});
    const subject = await shippedSubject('scene-2', 'digit-scenes');
    const { seen } = await ask('predict', { subject }, 'A lesson', 'lessons');
    const show = async (method: string) => {
      const answers = [await explained(subject, method, 3), await explained(subject, method, 7)];
      const used = answers[0]!.weights!.filter((weight) => weight > 0);
      const ratio = Math.max(...used) / Math.min(...used);
      body.replaceChildren(
        make('div', { class: 'figures' }, ...answers.map((answer) => lessonFigure(seen, answer, ''))),
        number(
          rendered('\\max_k w_k / \\min_k w_k ='),
          ratio,
          method === 'score-cam-softmax'
            ? 'and never more than e = 2.718'
            : 'over the channels of positive weight, without the softmax',
        ),
      );
    };
    const variants = {
      'with softmax (Algorithm 1)': 'score-cam-softmax',
      'without (equation 6)': 'score-cam',
    } as const;
    const names = Object.keys(variants) as (keyof typeof variants)[];
    const chosen = options(
      'Weights',
      names,
      names[0]!,
      (name) => void attempt(place, () => show(variants[name])),
    );
    await show('score-cam-softmax');
    place.replaceChildren(chosen, body);
  });
