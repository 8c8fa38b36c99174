// The options that several commands share, and what is understood by their values.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Network } from '../../models/network.ts';
import { type Interpolation, interpolations, presets } from '../../models/preprocess.ts';
import { type Background, backgroundNames } from '../image/alpha.ts';

/** Options that say which network, and how pictures are prepared for it. */
export interface ModelArguments {
  readonly model: string;
  readonly architecture?: string;
  readonly labels?: string;
  readonly output?: string;
  readonly text?: string;
  readonly probabilities?: Network['probabilities'];
  readonly preset?: keyof typeof presets;
  readonly size?: readonly [height: number, width: number];
  readonly crop?: readonly [resize: number, size: number];
  readonly resize?: 'cover' | 'stretch' | 'pad';
  readonly interpolation?: Interpolation;
  readonly background?: Background;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly scale?: number;
  readonly channels?: 'rgb' | 'bgr' | 'grey';
}

/** The network that is taken where none is named. */
export const DEFAULT_MODEL = 'digit-scenes';

const list = (value: string): string[] => value.split(',').map((item) => item.trim());

/** What is named twice is wanted once. */
export const names = (value: string): string[] => [...new Set(list(value))];

/** An option that may be given several times. */
export const repeated = (value: string, before: readonly string[] = []): string[] => [...before, value];

const number = (value: string): number => {
  const read = value.trim() === '' ? Number.NaN : Number(value);
  if (!Number.isFinite(read)) throw new InvalidArgumentError(`"${value}" is not a number.`);
  return read;
};

const numbers = (value: string): number[] => list(value).map(number);

/** A whole number, 1 or more. */
export const wholeNumber = (value: string): number => {
  if (/^[1-9]\d{0,8}$/.test(value.trim())) return Number(value);
  throw new InvalidArgumentError(`"${value}" is no whole number of 1 or more.`);
};

/** A part of a whole, counted from 1, such as 3/16. */
export const part = (value: string): { index: number; count: number } => {
  const [index, count, ...rest] = value.split('/').map(wholeNumber);
  if (index !== undefined && count !== undefined && rest.length === 0 && index <= count)
    return { index, count };
  throw new InvalidArgumentError(
    'Give a part and how many there are, such as 3/16; parts are counted from 1.',
  );
};

const side = (value: string): number => {
  if (/^[1-9]\d{0,5}$/.test(value.trim())) return Number(value);
  throw new InvalidArgumentError(`"${value}" is not a number of pixels.`);
};

const size = (value: string): [number, number] => {
  const sides = value.split(/[x×]/i).map(side);
  if (sides.length > 2)
    throw new InvalidArgumentError('Give one number, or height x width, such as 224x320.');
  return [sides[0]!, sides[1] ?? sides[0]!];
};

const crop = (value: string): [number, number] => {
  const sides = value.split('/').map(side);
  if (sides.length !== 2 || sides[0]! < sides[1]!) {
    throw new InvalidArgumentError('Give the shorter side and the part to cut out, such as 256/224.');
  }
  return [sides[0]!, sides[1]!];
};

/** How the network is found and fed. */
export const modelOptions = (command: Command): Command =>
  command
    .option(
      '--text <text>',
      'what a model that reads one is to read: a question, words of a caption so far, texts to tell apart: "a fox | an owl"',
    )
    .option('--architecture <name>', 'architecture of a file of weights, where its keys do not tell')
    .option(
      '--labels <file>',
      'class names: one a line, JSON, config.json, …; "imagenet": fetched (default: those beside the model)',
    )
    .option('--output <name>', 'the output to explain, where a file has several')
    .addOption(
      new Option('--probabilities <kind>', 'what logits become (default: what the file says)').choices([
        'softmax',
        'sigmoid',
        'none',
      ]),
    )
    .addOption(
      new Option('--preset <name>', 'preprocessing by name; the options below change parts of it').choices(
        Object.keys(presets),
      ),
    )
    .option('--size <size>', 'input size S or HxW', size)
    .addOption(
      new Option(
        '--resize <way>',
        'to the size: cover it and cut out the middle, stretch to it, or fit into it with black around (default: cover)',
      ).choices(['cover', 'stretch', 'pad']),
    )
    .option('--crop <R/S>', 'shorter side scaled to R, the middle S x S cut out, such as 256/224', crop)
    .addOption(
      new Option('--interpolation <name>', "of the scaling, as Pillow's").choices([...interpolations]),
    )
    .addOption(
      new Option(
        '--background <colour>',
        'behind what is transparent; ignored: its colours as stored, as by Pillow (default: white)',
      ).choices([...backgroundNames]),
    )
    .option('--scale <number>', 'inputs are (value / scale - mean) / std', number)
    .option('--mean <numbers>', 'one, or one a channel, separated by commas', numbers)
    .option('--std <numbers>', 'one, or one a channel, separated by commas', numbers)
    .addOption(new Option('--channels <order>', 'of the input').choices(['rgb', 'bgr', 'grey']));
