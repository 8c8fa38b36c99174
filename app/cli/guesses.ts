// Where nothing says how pixels become a network's input: what it would predict of a picture under each of the usual ways.

import { INPUT } from '../../models/graph.ts';
import type { Network } from '../../models/network.ts';
import { type Preprocessing, preprocess } from '../../models/preprocess.ts';
import { run } from '../../models/run.ts';
import type { Background } from '../image/alpha.ts';
import { openImage } from './load.ts';
import { note } from './progress.ts';
import { score } from './report.ts';

/** Says which class, and how probable, is first under each preprocessing; of networks that end in a softmax. */
export async function sayGuesses(
  network: Network,
  guesses: ReadonlyMap<string, Preprocessing>,
  path: string,
  background: Background = 'white',
): Promise<void> {
  const { graph, classes } = network;
  const pixels = await openImage(path, background);
  const said: string[] = [];
  for (const [preset, preprocessing] of guesses) {
    const input = preprocess({ ...network, preprocessing }, pixels);
    const logits = run(network, new Map([[INPUT, input]]), [graph.output]).get(graph.output)!;
    const values = await logits.data();
    for (const tensor of [input, logits]) tensor.dispose();
    const top = values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
    const total = values.reduce((sum, value) => sum + Math.exp(value - values[top]!), 0);
    said.push(`${preset}: ${classes[top]} (${score(1 / total)})`);
  }
  note(`${path} would be, by --preset, ${said.join('; ')}`);
}
