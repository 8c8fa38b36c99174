// limelight explain: pictures in; for each picture, method and class an overlay out.

import { LayerError, methodOf } from '../../cam/index.ts';
import { assertWritable } from '../image/write.node.ts';
import { asUsage } from './errors.ts';
import { sayGuesses } from './guesses.ts';
import { applicableMethods, camRefusalOf, checkImages, chooseModel } from './load.ts';
import type { ModelArguments } from './options.ts';
import { deviceLine, explainImage, lookUp, stems, withNetwork, writeFiles } from './pipeline.ts';
import { note, print } from './progress.ts';
import { explanationJson, explanationTable } from './report.ts';

export interface ExplainArguments extends ModelArguments {
  readonly out: string;
  readonly method?: readonly string[];
  readonly class?: readonly string[];
  readonly layer?: string;
  readonly device?: string;
  readonly raw?: boolean;
  readonly json?: boolean;
  readonly signed?: boolean;
  readonly target?: string;
}

export async function explainCommand(images: readonly string[], asked: ExplainArguments): Promise<void> {
  asked.method?.forEach((name) => {
    asUsage(() => methodOf(name));
  });
  const choice = await chooseModel(asked, true);
  const found = lookUp(choice, asked);
  const { methods, note: left } = asked.method
    ? { methods: asked.method, note: undefined }
    : applicableMethods(choice, asked.layer);
  const refusal = asked.method?.includes('cam') && camRefusalOf(choice, asked.layer);
  if (refusal) throw new LayerError(refusal);
  await checkImages(images);
  await assertWritable(asked.out);
  if (left) note(left);
  const request = {
    ...found,
    methods,
    signed: asked.signed ?? false,
    background: asked.background,
  };
  await withNetwork(choice, asked.device, async (network) => {
    note(deviceLine(network.device));
    if (choice.guesses) await sayGuesses(network, choice.guesses, images[0]!, asked.background);
    const names = stems(images);
    for (const [i, image] of images.entries()) {
      const explained = await explainImage(network, image, request);
      await writeFiles(explained, names[i]!, asked.out, asked.raw ?? false);
      const files = explained.flatMap((one) => Object.values(one.files));
      print(
        asked.json
          ? explained.map((one) => `${explanationJson(one)}\n`).join('')
          : `${image}\n${explanationTable(explained)}\n${files.map((file) => `wrote ${file}\n`).join('')}`,
      );
    }
  });
}
