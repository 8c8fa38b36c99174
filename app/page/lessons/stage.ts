// What lessons share: a stage that runs when it comes into sight, and answers of the worker.

import { messageOf } from '../../../engine/platform/errors.ts';
import type { Pixels } from '../../../models/pixels.ts';
import { ask } from '../ask.ts';
import { element, make } from '../dom.ts';
import { exampleFile, examples } from '../examples.ts';
import { drawn, figure } from '../maps.ts';
import type { Subject } from '../work/subject.ts';
import type { Answer } from '../work/tasks.ts';

/** Runs a lesson's picture when it first comes into sight; what goes wrong is said in its place. */
export function stage(id: string, run: (place: HTMLElement) => Promise<void>): void {
  const place = element(`stage-${id}`);
  const seen = new IntersectionObserver(
    ([entry]) => {
      if (!entry!.isIntersecting) return;
      seen.disconnect();
      void attempt(place, () => run(place));
    },
    { rootMargin: '200px' },
  );
  seen.observe(place);
}

/** Runs something that may fail, and says so. */
export async function attempt(place: HTMLElement, run: () => Promise<void>): Promise<void> {
  place.ariaBusy = 'true';
  try {
    await run();
  } catch (error) {
    place.append(make('p', { class: 'problem' }, messageOf(error)));
  }
  place.ariaBusy = 'false';
}

/** A shipped picture before a shipped network. */
export async function shippedSubject(picture: string, network: string): Promise<Subject> {
  const { title } = examples.get(picture)!;
  return {
    picture: { id: picture, name: title, file: await exampleFile(picture) },
    network: { id: network },
  };
}

export const explained = (subject: Subject, method: string, classIndex: number): Promise<Answer> => {
  const asked = { subject, method, classIndex, layers: [], fuse: '', of: 'logit' } as const;
  return ask('explain', asked, `A lesson: ${method}`, 'lessons');
};

/** The figure of an answer in a lesson: evidence for, in viridis. */
export const lessonFigure = (seen: Pixels, answer: Answer, line: string, signed = false): HTMLElement =>
  figure(
    seen,
    drawn(answer.map, signed),
    { signed, opacity: 70, colours: 'viridis' },
    {
      title: answer.title,
      what: `class ${answer.className}`,
      lines: [line],
    },
  );

/** So that the groups of several lessons are apart. */
let groups = 0;

/** Several choices of which one is taken. */
export function options<T extends string>(
  label: string,
  values: readonly T[],
  chosen: T,
  take: (value: T) => void,
): HTMLElement {
  const name = `choice ${groups++}`;
  const group = make(
    'div',
    { class: 'row', role: 'radiogroup', 'aria-label': label },
    make('span', { class: 'label' }, label),
  );
  for (const value of values) {
    const input = make('input', { type: 'radio', name, value, checked: value === chosen });
    input.addEventListener('change', () => take(value));
    group.append(make('label', { class: 'choice' }, input, value));
  }
  return group;
}
