// The lessons: each has its text in index.html and its picture here.

import { element } from '../dom.ts';
import { rendered } from '../terms/formula.ts';
import { drag } from './drag.ts';
import { lie } from './lie.ts';
import { bentTail, denseHead, softmax, theorem } from './theorem.ts';
import { train } from './train.ts';
import { transformer } from './transformer.ts';

/** Starts the lessons, each when it comes into sight, and sets the formulas of their texts. */
export function showLessons(): void {
  for (const place of element('lessons').querySelectorAll<HTMLElement>('.tex'))
    place.replaceChildren(rendered(place.textContent!));
  for (const lesson of [theorem, denseHead, bentTail, softmax, transformer, lie, drag, train]) lesson();
}
