// limelight predict: pictures in, the likeliest classes out.

import { visibleJson } from '../../engine/visible.ts';
import { boxTable } from './boxes.ts';
import { eachAfterGuesses } from './guesses.ts';
import { inJobs } from './jobs.ts';
import { chooseModel } from './load.ts';
import type { ModelArguments } from './options.ts';
import { findPictures, type PictureArguments } from './pictures.ts';
import { deviceLine, deviceName, findBoxes, predictImage, withNetwork } from './pipeline.ts';
import { note, print } from './progress.ts';
import { boxJson, predictionTable } from './report.ts';

export interface PredictArguments extends ModelArguments, PictureArguments {
  readonly top: number;
  readonly jobs: number;
  readonly device?: string;
  readonly json?: boolean;
}

export async function predictCommand(images: readonly string[], asked: PredictArguments): Promise<void> {
  const choice = await chooseModel(asked, true);
  const pictures = await findPictures(images, asked);
  if (asked.jobs > 1) return void (await inJobs(asked.jobs, { print: true, advice: '' }));
  await withNetwork(choice, asked.device, async (network) => {
    note(deviceLine(network.device));
    await eachAfterGuesses(network, choice, asked.background, pictures(), async (picture) => {
      const { name: model, device } = network;
      const seen = { image: picture.name, model, device: deviceName(device) };
      if (network.detection) {
        const boxes = await findBoxes(network, picture, asked.background);
        print(
          asked.json
            ? `${visibleJson({ ...seen, boxes: boxes.map(boxJson) })}\n`
            : `${picture.name}: ${boxTable(boxes)}\n`,
        );
        return;
      }
      const predictions = (await predictImage(network, picture, asked.background)).slice(0, asked.top);
      if (!asked.json) {
        print(`${picture.name}\n${predictionTable(predictions)}\n`);
        return;
      }
      const said = predictions.map(({ index, name, ...numbers }) => ({
        class: index,
        className: name,
        ...numbers,
      }));
      print(`${visibleJson({ ...seen, predictions: said })}\n`);
    });
  });
}
