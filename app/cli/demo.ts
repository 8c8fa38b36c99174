// limelight demo: a shipped network, a shipped picture, all methods.

import { fileURLToPath } from 'node:url';
import { assertWritable } from '../image/write.node.ts';
import { writeOverlays, writeSheet } from './files.ts';
import { applicableMethods, chooseModel } from './load.ts';
import { DEFAULT_MODEL as model } from './options.ts';
import { pictureAt } from './pictures.ts';
import { deviceLine, explainImage, lookUp, withNetwork } from './pipeline.ts';
import { note, print } from './progress.ts';
import { explanationTable } from './report.ts';

/** The classes are what the picture shows (models/images/scenes.json). */
const show = { image: 'scene-2.png', classes: ['3', '0', '7'] };

export async function demoCommand(asked: {
  readonly out: string;
  readonly force?: boolean;
  readonly device?: string;
}): Promise<void> {
  const choice = await chooseModel({ model }, true);
  const image = fileURLToPath(new URL(`../../models/images/${show.image}`, import.meta.url));
  const { methods, note: left } = applicableMethods(choice);
  await assertWritable(asked.out);
  if (left) note(left);
  await withNetwork(choice, asked.device, async (network) => {
    print(`${deviceLine(network.device)}\n`);
    const explained = await explainImage(network, pictureAt(image), {
      ...lookUp(choice, { class: show.classes }),
      methods,
    });
    const to = { ...asked, model };
    await writeSheet(explained, to);
    await writeOverlays(explained.slice(0, methods.length), to);
    const files = new Set(explained.flatMap((one) => Object.values(one.files)));
    print(`${explanationTable(explained)}\n${[...files].map((file) => `wrote ${file}\n`).join('')}`);
  });
}
