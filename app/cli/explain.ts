// limelight explain and limelight compare: pictures in; overlays, or a sheet of each picture, and numbers out.

import { methodOf } from '../../cam/index.ts';
import type { ColourMap } from '../image/colour.ts';
import { assertWritable } from '../image/write.node.ts';
import { asUsage } from './errors.ts';
import { writeNumbers, writeOverlays, writeSheet } from './files.ts';
import { eachAfterGuesses } from './guesses.ts';
import { inJobs } from './jobs.ts';
import { applicableMethods, assertExplains, chooseModel, type ModelChoice } from './load.ts';
import type { ModelArguments } from './options.ts';
import { findPictures, type PictureArguments } from './pictures.ts';
import { deviceLine, explainImage, lookUp, type Request, withNetwork } from './pipeline.ts';
import { note, print } from './progress.ts';
import { explanationJson, explanationTable } from './report.ts';

export interface ExplainArguments extends ModelArguments, PictureArguments {
  readonly out: string;
  readonly force?: boolean;
  readonly jobs: number;
  readonly method?: readonly string[];
  readonly class?: readonly string[];
  readonly top?: number;
  readonly layer?: string;
  readonly fuse?: 'mean' | 'max';
  readonly device?: string;
  readonly raw?: boolean;
  readonly json?: boolean;
  readonly signed?: boolean;
  readonly target?: string;
  readonly colormap?: ColourMap;
}

/** The methods that were asked for, or those that apply. */
function methodsOf({ method }: ExplainArguments, choice: ModelChoice, layers?: readonly string[]) {
  if (!method) return applicableMethods(choice, layers);
  assertExplains(choice, method, layers);
  return { methods: method };
}

/** A command that explains pictures, each shown by files that `show` writes. */
const explaining =
  (show: typeof writeOverlays) =>
  async (images: readonly string[], asked: ExplainArguments): Promise<void> => {
    asked.method?.forEach((name) => {
      asUsage(() => methodOf(name));
    });
    const choice = await chooseModel(asked, true);
    const found = lookUp(choice, asked);
    const { methods, note: left } = methodsOf(asked, choice, found.layer);
    const pictures = await findPictures(images, asked);
    await assertWritable(asked.out);
    if (left) note(left);
    if (asked.jobs > 1) return void (await inJobs(asked.jobs, { print: true, advice: '' }));
    const request: Request = {
      ...found,
      methods,
      signed: asked.signed ?? false,
      background: asked.background,
    };
    await withNetwork(choice, asked.device, async (network) => {
      note(deviceLine(network.device));
      await eachAfterGuesses(network, choice, asked.background, pictures(), async (picture) => {
        const explained = await explainImage(network, picture, request);
        await show(explained, asked);
        if (asked.raw) await writeNumbers(explained, asked);
        const files = new Set(explained.flatMap((one) => Object.values(one.files)));
        print(
          asked.json
            ? explained.map((one) => `${explanationJson(one)}\n`).join('')
            : `${picture.name}\n${explanationTable(explained)}\n${[...files].map((file) => `wrote ${file}\n`).join('')}`,
        );
      });
    });
  };

export const explainCommand = explaining(writeOverlays);
export const compareCommand = explaining(writeSheet);
