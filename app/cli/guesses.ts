// Where nothing says how pixels become a network's input: what it would predict of a picture under each of the usual ways.

import type { Network } from '../../models/network.ts';
import type { Preprocessing } from '../../models/preprocess.ts';
import type { Background } from '../image/alpha.ts';
import type { Picture } from './pictures.ts';
import { predictImage } from './pipeline.ts';
import { note } from './progress.ts';
import { likely } from './report.ts';

/** Says which class, and how probable, is first under each preprocessing. */
export async function sayGuesses(
  network: Network,
  guesses: ReadonlyMap<string, Preprocessing>,
  picture: Picture,
  background: Background = 'white',
): Promise<void> {
  const said: string[] = [];
  for (const [preset, preprocessing] of guesses) {
    const [first] = await predictImage(network, picture, background, preprocessing);
    said.push(`${preset}: ${first!.name} (${likely(first!)})`);
  }
  note(`${picture.name} would be, by --preset, ${said.join('; ')}`);
}
