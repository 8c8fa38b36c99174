// Lesson: from Grad-CAM to AttnLRP on a transformer. Gradient times value, with three rules of derivation that can be switched.

import type { LrpRule } from '../../../cam/rules.ts';
import { formatValue } from '../../image/heat.ts';
import { ask } from '../ask.ts';
import { choice, make, percent } from '../dom.ts';
import { drawn, figure } from '../maps.ts';
import { energyOn } from '../truth.ts';
import { thingsIn } from './scene.ts';
import { attempt, explained, lessonFigure, options, shippedSubject, stage } from './stage.ts';

/** In the order in which they are added. */
const RULES: readonly LrpRule[] = ['identity', 'normalisation', 'uniform'];

export const transformer = () =>
  stage('transformer', async (place) => {
    const body = make('div', {});
    const subject = await shippedSubject('scene-2', 'digit-vit');
    const { seen } = await ask('predict', { subject }, 'A lesson', 'lessons');
    const objects = thingsIn('scene-2');
    const taken = new Set<LrpRule>();
    let digit = '3';
    const show = async () => {
      const classIndex = Number(digit);
      const gradCam = await explained(subject, 'grad-cam', classIndex);
      const rules = RULES.filter((rule) => taken.has(rule));
      const { map, logit } = await ask('relevance', { subject, classIndex, rules }, 'A lesson', 'lessons');
      const share = (values: typeof map) => percent(energyOn(objects, digit, drawn(values, false).map, seen));
      const total = map.data.reduce((sum, value) => sum + value, 0);
      body.replaceChildren(
        make(
          'div',
          { class: 'figures' },
          lessonFigure(seen, gradCam, `${share(gradCam.map)} of it on the ${digit}`, false),
          figure(
            seen,
            drawn(map, false),
            { signed: false, opacity: 70, colours: 'viridis' },
            {
              title: rules.length === RULES.length ? 'AttnLRP' : 'Gradient × value',
              what: rules.length === 0 ? 'by no rule' : `by ${rules.join(', ')}`,
              lines: [`${share(map)} of it on the ${digit}`],
            },
          ),
        ),
        make(
          'p',
          { class: 'big-number' },
          make('strong', {}, share(map)),
          make(
            'span',
            {},
            `of the map is on the ${digit}; with its signs it adds up to ${formatValue(total)}, and the logit is ${formatValue(logit)}`,
          ),
        ),
      );
    };
    const again = () => void attempt(place, show);
    const digits = options('Digit', ['3', '0', '7'], digit, (value) => {
      digit = value;
      again();
    });
    const rules = RULES.map((rule) => {
      const box = choice('checkbox', 'rule', rule, false, rule);
      box.addEventListener('change', () => {
        if (!taken.delete(rule)) taken.add(rule);
        again();
      });
      return box;
    });
    await show();
    place.replaceChildren(
      digits,
      make(
        'div',
        { class: 'row', role: 'group', 'aria-label': 'Rules' },
        make('span', { class: 'label' }, 'Rules'),
        ...rules,
      ),
      body,
    );
  });
