// How sure a network is of a picture, and what is plainly not as it learnt it. Confidence is no evidence: a network is as
// sure of what it has never seen. So only facts are told.

import { element, percent } from './dom.ts';
import type { Predicted } from './work/tasks.ts';

/** The share of coloured pixels from which on a picture is in colour, and of the largest entropy that is undecided. */
const [IN_COLOUR, UNDECIDED] = [0.05, 0.5];

/** Shannon's entropy of probabilities, in bits. */
export const entropyOf = (probabilities: readonly number[]): number =>
  probabilities.reduce((total, p) => (p > 0 ? total - p * Math.log2(p) : total), 0);

/** What is known of how sure a prediction is; `facts` that speak against relying on it. */
export function doubtsOf({ classes, probabilities, picture, channels, seen }: Predicted): {
  readonly sure: string;
  readonly facts: readonly string[];
} {
  const p = classes.map(({ probability }) => probability ?? 0);
  const facts: string[] = [];
  if (channels === 1 && picture.coloured > IN_COLOUR)
    facts.push(
      `the picture is in colour (${percent(picture.coloured)} of its pixels), and the network takes grey ones`,
    );
  const enlarged = Math.min(seen.width / picture.width, seen.height / picture.height);
  if (enlarged >= 2)
    facts.push(`the picture was enlarged ${enlarged.toFixed(1)} times to the network's size`);
  if (probabilities === 'sigmoid') {
    const most = Math.max(...p);
    if (most < 0.5) facts.push(`it finds none of its classes: the likeliest has ${percent(most)}`);
    return { sure: '', facts };
  }
  if (probabilities === 'none' || p.length < 2) return { sure: '', facts };
  const [found, largest] = [entropyOf(p), Math.log2(p.length)];
  if (found > UNDECIDED * largest) facts.push('its probabilities are spread over many classes');
  return {
    sure: `Entropy of the probabilities: ${found.toFixed(2)} of at most ${largest.toFixed(2)} bits.`,
    facts,
  };
}

/** Shows them under the classes. */
export function showDoubts(predicted: Predicted): void {
  const { sure, facts } = doubtsOf(predicted);
  const warning =
    facts.length > 0
      ? `Take care: ${facts.join('; ')}. That a network is sure is no evidence that it may be. `
      : '';
  element('doubts').textContent = warning + sure;
  element('doubts').classList.toggle('doubtful', facts.length > 0);
}
