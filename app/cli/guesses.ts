// Where nothing says how pixels become a network's input: what it would predict of a picture under each of the usual ways.

import type { Network } from '../../models/network.ts';
import type { Preprocessing } from '../../models/preprocess.ts';
import type { Background } from '../image/alpha.ts';
import type { ModelChoice } from './load.ts';
import { eachPicture, type Picture } from './pictures.ts';
import { predictImage } from './pipeline.ts';
import { note } from './progress.ts';
import { likely } from './report.ts';

/** Says which class, and how probable, is first under each preprocessing. */
async function sayGuesses(
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

/** `eachPicture`; of the first, what it would be under each preprocessing is said before it is used. */
export async function eachAfterGuesses(
  network: Network,
  { guesses }: Pick<ModelChoice, 'guesses'>,
  background: Background | undefined,
  pictures: AsyncIterable<Picture>,
  use: (picture: Picture) => Promise<void>,
): Promise<void> {
  let unsaid = guesses;
  await eachPicture(pictures, async (picture) => {
    if (unsaid) await sayGuesses(network, unsaid, picture, background);
    unsaid = undefined;
    await use(picture);
  });
}
