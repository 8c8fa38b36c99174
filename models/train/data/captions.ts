// What is said and asked of a scene, by rule, from the boxes of its digits.
//
// A caption goes from the topmost digit down and says of each how it lies to the next: "a three above a seven left of a
// one". Where the digits differ more across than down, one is left or right of the other.

import { digitWords } from '../../architectures/digit-text.ts';
import { below, type Random } from './random.ts';
import type { SceneDigit } from './scenes.ts';

const centre = ({ box: [x0, y0, x1, y1] }: SceneDigit) => [(x0 + x1) / 2, (y0 + y1) / 2] as const;

/** From the top down; of equals, from the left. */
const ordered = (digits: readonly SceneDigit[]): SceneDigit[] =>
  [...digits].sort((a, b) => centre(a)[1] - centre(b)[1] || centre(a)[0] - centre(b)[0]);

/** How a digit lies to one that is no higher. */
function relation(upper: SceneDigit, lower: SceneDigit): 'above' | 'left of' | 'right of' {
  const [dx, dy] = [centre(lower)[0] - centre(upper)[0], centre(lower)[1] - centre(upper)[1]];
  if (Math.abs(dx) <= dy) return 'above';
  return dx > 0 ? 'left of' : 'right of';
}

/** The same, seen from the other. */
const opposite = { above: 'below', 'left of': 'right of', 'right of': 'left of' } as const;

const word = (digit: SceneDigit): string => digitWords[digit.class]!;

/** The digits in the order in which the caption names them, and the caption. */
export function caption(digits: readonly SceneDigit[]): { named: SceneDigit[]; text: string } {
  const named = ordered(digits);
  if (named.length === 1) return { named, text: `a ${word(named[0]!)} alone` };
  const parts = named.map((digit, i) => {
    const next = named[i + 1];
    return next ? `a ${word(digit)} ${relation(digit, next)}` : `a ${word(digit)}`;
  });
  return { named, text: parts.join(' ') };
}

/** A question of a scene, what type it is of, its answer, and the digit that the answer names, if it names one. */
export interface Question {
  readonly type: 'presence' | 'count' | 'relation';
  readonly text: string;
  readonly answer: string;
  readonly about?: SceneDigit;
}

/** Draws a question: half of those that ask whether a digit is there are about one that is. */
export function question(digits: readonly SceneDigit[], next: Random): Question {
  const type = (['presence', 'count', 'relation'] as const)[below(digits.length > 1 ? 3 : 2, next)]!;
  if (type === 'count') return { type, text: 'how many digits', answer: digitWords[digits.length]! };
  if (type === 'presence') {
    const present = digits.map(word);
    const isThere = next() < 0.5;
    const choices = isThere ? present : digitWords.filter((one) => !present.includes(one));
    const asked = choices[below(choices.length, next)]!;
    return { type, text: `is there a ${asked}`, answer: isThere ? 'yes' : 'no' };
  }
  const named = ordered(digits);
  const first = below(named.length - 1, next);
  const [upper, lower] = [named[first]!, named[first + 1]!];
  const how = relation(upper, lower);
  const [known, about, said] = next() < 0.5 ? [lower, upper, how] : [upper, lower, opposite[how]];
  return { type, text: `what is ${said} the ${word(known)}`, answer: word(about), about };
}
