// Lesson: a picture is changed until Grad-CAM points elsewhere, and the logits stay.

import { formatValue } from '../../image/heat.ts';
import { ask } from '../ask.ts';
import { make } from '../dom.ts';
import { drawn, figure } from '../maps.ts';
import { rendered } from '../terms/formula.ts';
import type { Values } from '../work/subject.ts';
import { gap, number, pairs } from './pairs.ts';
import { attempt, options, shippedSubject, stage } from './stage.ts';

const LOOK = { signed: false, opacity: 70, colours: 'viridis' } as const;

/** The picture that a network takes, grey values of 0 to 1, as pixels. */
export function greyPicture({ shape, data }: Values) {
  const [height, width] = shape.slice(2) as [number, number];
  const rgb = new Uint8Array(3 * data.length);
  for (const [i, value] of data.entries()) rgb.fill(Math.round(255 * value), 3 * i, 3 * i + 3);
  return { width, height, rgb };
}

export const lie = () =>
  stage('lie', async (place) => {
    const body = make('div', {});
    const subject = await shippedSubject('scene-2', 'digit-scenes');
    const { seen } = await ask('predict', { subject }, 'A lesson', 'lessons');
    let digit = '3';
    const show = async (across: number, down: number) => {
      const classIndex = Number(digit);
      const { map } = await ask(
        'explain',
        { subject, method: 'grad-cam', classIndex, layers: [], fuse: '', of: 'logit' },
        'A lesson: Grad-CAM',
        'lessons',
      );
      const [height, width] = map.shape as readonly [number, number];
      const cell =
        Math.min(height - 1, Math.floor(down * height)) * width +
        Math.min(width - 1, Math.floor(across * width));
      const found = await ask('lie', { subject, classIndex, cell }, 'Grad-CAM learns to lie', 'lessons');
      const figures = [
        figure(seen, drawn(found.before, false), LOOK, {
          title: 'Before',
          what: `Grad-CAM of ${digit}`,
          lines: [],
        }),
        figure(greyPicture(found.picture), drawn(found.after, false), LOOK, {
          title: 'After',
          what: `Grad-CAM of ${digit}, of the changed picture`,
          lines: [
            `a pixel is changed by ${formatValue(found.change.mean)} of white in the mean, by ${formatValue(found.change.most)} at most`,
          ],
        }),
      ];
      for (const one of figures) {
        const canvas = one.querySelector('canvas')!;
        canvas.style.cursor = 'crosshair';
        canvas.addEventListener('click', ({ clientX, clientY }) => {
          const { left, top, width: w, height: h } = canvas.getBoundingClientRect();
          void attempt(place, () => show((clientX - left) / w, (clientY - top) / h));
        });
      }
      const [before, after] = found.logits;
      body.replaceChildren(
        make('div', { class: 'figures' }, ...figures),
        pairs({ name: 'logits before', values: before }, { name: 'logits after', values: after }),
        number(
          rendered('\\max_c |S_c - S_c^0| ='),
          gap(before, after),
          `of logits up to ${formatValue(Math.max(...before))}`,
        ),
      );
    };
    const corners: Readonly<Record<string, readonly [number, number]>> = {
      'lower right': [0.8, 0.8],
      'upper right': [0.85, 0.15],
      'lower left': [0.1, 0.75],
    };
    let corner = 'lower right';
    const again = () => attempt(place, () => show(...corners[corner]!));
    const digits = options('Digit', ['3', '0', '7'], digit, (value) => {
      digit = value;
      void again();
    });
    const places = options('Its peak goes to the', Object.keys(corners), corner, (name) => {
      corner = name;
      void again();
    });
    await show(...corners[corner]!);
    place.replaceChildren(digits, places, body);
  });
