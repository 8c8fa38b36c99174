// limelight demo: a shipped network, a shipped picture, all methods.

import { fileURLToPath } from 'node:url';
import { assertWritable } from '../image/write.node.ts';
import { applicableMethods, chooseModel } from './load.ts';
import { deviceLine, explainImage, lookUp, stems, withNetwork, writeFiles, writeSheet } from './pipeline.ts';
import { note, print } from './progress.ts';
import { explanationTable } from './report.ts';

/** The classes are what the picture shows (models/images/scenes.json). */
const show = { model: 'digit-scenes', image: 'scene-2.png', classes: ['3', '0', '7'] };

export async function demoCommand(asked: { readonly out: string; readonly device?: string }): Promise<void> {
  const choice = await chooseModel({ model: show.model }, true);
  const image = fileURLToPath(new URL(`../../models/images/${show.image}`, import.meta.url));
  const { methods, note: left } = applicableMethods(choice);
  await assertWritable(asked.out);
  if (left) note(left);
  await withNetwork(choice, asked.device, async (network) => {
    print(`${deviceLine(network.device)}\n`);
    const explained = await explainImage(network, image, {
      ...lookUp(choice, { class: show.classes }),
      methods,
    });
    const [stem] = stems([image]);
    const first = explained.slice(0, methods.length);
    await writeFiles(first, stem!, asked.out, false);
    const files = [await writeSheet(explained, stem!, asked.out), ...first.map((one) => one.files.overlay)];
    print(`${explanationTable(explained)}\n${files.map((file) => `wrote ${file}\n`).join('')}`);
  });
}
