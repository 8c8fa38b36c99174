// limelight verify: what must hold on a network, and by how much it does not.

import {
  type Claim,
  claimOf,
  claims,
  sameAs,
  type Verdict,
  type VerifyOptions,
  verify,
} from '../../cam/index.ts';
import { LimelightError } from '../../engine/index.ts';
import { visibleJson } from '../../engine/visible.ts';
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import type { Network } from '../../models/network.ts';
import type { Pixels } from '../../models/pixels.ts';
import { takesPictures } from '../../models/preprocess.ts';
import { random } from '../../models/train/data/random.ts';
import { asUsage } from './errors.ts';
import { eachAfterGuesses } from './guesses.ts';
import { chooseModel, type ModelChoice, openModel, weightsOf } from './load.ts';
import type { ModelArguments } from './options.ts';
import { findPictures, openImage } from './pictures.ts';
import { assertTakes, deviceLine, deviceName, inputOf, lookUp, naming, withNetwork } from './pipeline.ts';
import { bar, heartbeat, isVerbose, note, print } from './progress.ts';
import { table } from './report.ts';

export interface VerifyArguments extends Omit<ModelArguments, 'model'> {
  readonly claim?: readonly string[];
  readonly class?: readonly string[];
  readonly layer?: string;
  readonly device?: string;
  readonly json?: boolean;
  readonly sameAs?: string;
}

/** Characters in a line of a table's first and last column, so that it fits into 100. */
const WIDTH = 37;

export async function verifyCommand(
  model: string,
  images: readonly string[],
  asked: VerifyArguments,
): Promise<void> {
  const named = (asked.claim ?? [...claims.keys()]).map((name) => asUsage(() => claimOf(name)));
  const choice = await chooseModel({ ...asked, model }, true);
  const second =
    asked.sameAs === undefined ? undefined : await chooseModel({ ...asked, model: asked.sameAs }, true);
  if (second) weightsOf(second);
  const { layer: layers = [choice.description.targetLayer], classes = [undefined] } = lookUp(choice, asked);
  const pictures = images.length > 0 ? await findPictures(images) : undefined;
  if (!pictures) note('no picture is given: claims are checked on noise');
  await withNetwork(choice, asked.device, async (network) => {
    const { name, device } = network;
    note(deviceLine(device));
    const other = second && (await openModel(device, second));
    const check = async (image: string | null, given: Pixels | HostTensor) => {
      const title = image ?? 'noise';
      const others = other && inputOf(other, given, title);
      const used = other ? [...named, sameAs(other, others)] : named;
      const failing: string[] = [];
      for (const layer of layers) {
        for (const classIndex of classes) {
          const of = { layer, claims: used, ...(classIndex !== undefined && { classIndex }) };
          const verdicts = await verifyOn(network, title, given, of);
          const about = { image, model: name, layer, device: deviceName(device) };
          print(
            asked.json
              ? verdicts.map((verdict) => `${visibleJson({ ...about, ...verdict })}\n`).join('')
              : `${title}, class ${network.classes[verdicts[0]!.classIndex]}, at "${layer}" of ${name}\n${verdictTable(verdicts)}\n`,
          );
          failing.push(...verdicts.filter(({ holds }) => holds === false).map(({ claim }) => claim));
        }
      }
      others?.dispose();
      if (failing.length > 0)
        throw new LimelightError(`${title}: what must hold does not: ${[...new Set(failing)].join(', ')}`);
    };
    if (!pictures) return check(null, noise(choice));
    await eachAfterGuesses(network, choice, asked.background, pictures(), async (picture) => {
      await check(picture.name, await openImage(picture, asked.background));
    });
  });
}

/** Numbers drawn uniformly: pixels, or 0 to 1 where a network takes no pictures. */
function noise({ exampleSize, description: { preprocessing } }: ModelChoice): Pixels | HostTensor {
  const [height, width] = exampleSize;
  const next = random(1);
  if (takesPictures(preprocessing))
    return { width, height, rgb: Uint8Array.from({ length: 3 * width * height }, () => 256 * next()) };
  const { channels } = preprocessing;
  const data = Float32Array.from({ length: channels * height * width }, next);
  return { shape: [channels, height, width], data };
}

async function verifyOn(
  network: Network,
  title: string,
  given: Pixels | HostTensor,
  asked: VerifyOptions & { readonly layer: string; readonly claims: readonly Claim[] },
): Promise<Verdict[]> {
  const input = inputOf(network, given, title);
  assertTakes(network, title, input.shape, asked.layer);
  const shown = bar('{claim} {bar} {percentage} %');
  const tell = heartbeat();
  shown.start(asked.claims.length, 0, { claim: '' });
  try {
    return await verify(network, input, {
      ...asked,
      progress(claim, done) {
        shown.update(done, { claim });
        tell(`${title}: ${claim}, ${done.toFixed(1)} of ${asked.claims.length} claims are done`);
      },
    });
  } catch (cause) {
    throw naming(title, cause);
  } finally {
    shown.stop();
    input.dispose();
  }
}

/** A text in lines of so many characters or less, broken between words. */
const wrapped = (text: string): string =>
  text.replace(new RegExp(`(.{1,${WIDTH}})( +|$)`, 'gm'), '$1\n').trimEnd();

const shownNumber = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

/** Claims as a table, with the formulas where everything is to be said, and under it where the bounds come from. */
function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ claim, sentence, tex, exempt, residual, bound, holds }) => [
    wrapped(isVerbose() ? `${claim}: ${sentence}\n${tex}` : `${claim}: ${sentence}`),
    shownNumber(residual),
    shownNumber(bound),
    wrapped(exempt === null ? (holds ? 'holds' : 'FAILS') : `does not apply: ${exempt}`),
  ]);
  const whose = [...new Set(verdicts.map(({ because }) => because))].map(
    (reason) => [reason, verdicts.filter(({ because }) => because === reason)] as const,
  );
  const [most, ...others] = whose.sort(([, a], [, b]) => b.length - a.length);
  return [
    table(['claim', 'off by', 'bound', 'result'], rows),
    'off by: the largest difference, as a share of the numbers compared',
    `bound: ${most![0]}`,
    ...others.map(([reason, of]) => `bound of ${of.map(({ claim }) => claim).join(', ')}: ${reason}`),
  ].join('\n');
}
