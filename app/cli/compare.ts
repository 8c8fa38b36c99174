// limelight compare: one picture, every method side by side on one sheet.

import { applicableMethods, chooseModel } from './load.ts';
import { deviceLine, explainImage, lookUp, stems, withNetwork, writeSheet } from './pipeline.ts';
import { explanationTable } from './report.ts';

export interface CompareArguments {
  readonly model: string;
  readonly out: string;
  readonly class?: readonly string[];
  readonly layer?: string;
  readonly device?: string;
  readonly labels?: string;
  readonly signed?: boolean;
}

export async function compareCommand(image: string, asked: CompareArguments): Promise<void> {
  const choice = await chooseModel(asked.model, asked.labels);
  const found = lookUp(choice, { classes: asked.class, layer: asked.layer });
  const { methods, note } = applicableMethods(choice.description, asked.layer);
  if (note) process.stderr.write(`${note}\n`);
  await withNetwork(choice, asked.device, async (network) => {
    process.stderr.write(`${deviceLine(network.device)}\n`);
    const explained = await explainImage(network, image, {
      ...found,
      methods,
      signed: asked.signed ?? false,
    });
    const sheet = await writeSheet(explained, stems([image])[0]!, asked.out);
    process.stdout.write(`${explanationTable(explained)}\nwrote ${sheet}\n`);
  });
}
