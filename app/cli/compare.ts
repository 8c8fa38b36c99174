// limelight compare: one picture, every method side by side on one sheet.

import { assertWritable } from '../image/write.node.ts';
import { sayGuesses } from './guesses.ts';
import { applicableMethods, checkImages, chooseModel } from './load.ts';
import type { ModelArguments } from './options.ts';
import { deviceLine, explainImage, lookUp, stems, withNetwork, writeSheet } from './pipeline.ts';
import { note, print } from './progress.ts';
import { explanationTable } from './report.ts';

export interface CompareArguments extends ModelArguments {
  readonly out: string;
  readonly class?: readonly string[];
  readonly layer?: string;
  readonly device?: string;
  readonly signed?: boolean;
  readonly target?: string;
}

export async function compareCommand(image: string, asked: CompareArguments): Promise<void> {
  const choice = await chooseModel(asked, true);
  const found = lookUp(choice, asked);
  const { methods, note: left } = applicableMethods(choice, asked.layer);
  await checkImages([image]);
  await assertWritable(asked.out);
  if (left) note(left);
  await withNetwork(choice, asked.device, async (network) => {
    note(deviceLine(network.device));
    if (choice.guesses) await sayGuesses(network, choice.guesses, image, asked.background);
    const explained = await explainImage(network, image, {
      ...found,
      methods,
      signed: asked.signed ?? false,
      background: asked.background,
    });
    const sheet = await writeSheet(explained, stems([image])[0]!, asked.out);
    print(`${explanationTable(explained)}\nwrote ${sheet}\n`);
  });
}
