// What is said of explanations: one row of a table, or one JSON object.

import Table from 'cli-table3';
import type { Explanation, Prediction } from '../../cam/index.ts';
import { largest, least } from '../../engine/extremes.ts';
import { visibleJson, visibleLines } from '../../engine/visible.ts';
import type { Box } from '../../models/detection.ts';
import type { HostTensor } from '../../models/formats/host-tensor.ts';
import type { Pixels } from '../../models/pixels.ts';
import { type Preprocessing, takesPictures } from '../../models/preprocess.ts';
import { formatValue, score } from '../image/heat.ts';

/** A box that a detector found. */
export interface FoundBox extends Box {
  /** Its edges in pixels of the picture itself. */
  readonly ofPicture: Box['edges'];
}

/** An explanation read back from the device, and the files made of it. */
export interface Explained {
  readonly image: string;
  /** How the names of its files begin. */
  readonly stem: string;
  readonly model: string;
  readonly device: string;
  readonly explanation: Explanation;
  /** What the network saw, to draw over. */
  readonly pixels: Pixels;
  /** At layer resolution. */
  readonly map: HostTensor;
  readonly weights: HostTensor | undefined;
  /** Position of the largest value, in pixels of the network's input. */
  readonly peak: readonly [x: number, y: number];
  /** What of the class is explained. */
  readonly target: string;
  readonly signed: boolean;
  /** Of a detector: the box that is explained, or the surest of the class. */
  readonly box?: FoundBox;
  files: {
    readonly overlay?: string;
    readonly sheet?: string;
    readonly map?: string;
    readonly weights?: string;
  };
}

/**
 * A table without colours, which no terminal shows amiss. Where it is wider than the terminal, each row is a list
 * of its own instead.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width = process.stdout.columns ?? Number.POSITIVE_INFINITY,
): string {
  const drawn = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) drawn.push(row.map(visibleLines));
  const text = drawn.toString();
  if (text.indexOf('\n') <= width) return text;
  const lists = rows.map((row) =>
    row.flatMap((cell, i) => (cell === '' ? [] : `${head[i]}: ${visibleLines(cell)}`)).join('\n'),
  );
  return lists.join('\n\n');
}

/** Explanations as a table; the score is the probability with the logit, or the value of what gives no probabilities. */
export function explanationTable(explained: readonly Explained[]): string {
  const layers = new Set(explained.map(({ explanation }) => explanation.layer));
  const compiled = explained.some(({ explanation }) => explanation.compiling >= 1);
  const columns: readonly (readonly [head: string, cell: (of: Explained) => string, isShown?: boolean])[] = [
    ['method', ({ explanation }) => explanation.method],
    ['class', ({ explanation }) => explanation.className],
    ['layer', ({ explanation }) => explanation.layer, layers.size > 1],
    [
      'score',
      ({ box, explanation }) =>
        box ? `${score(box.score)} (box ${box.number})` : likelyWithLogit(explanation),
    ],
    ['milliseconds', ({ explanation: { milliseconds, compiling } }) => (milliseconds - compiling).toFixed(0)],
    ['shaders, once', ({ explanation }) => explanation.compiling.toFixed(0), compiled],
  ];
  const shown = columns.filter(([, , isShown = true]) => isShown);
  return table(
    shown.map(([head]) => head),
    explained.map((one) => shown.map(([, cell]) => cell(one))),
  );
}

/** What a network makes of a class: its probability, or the value of what gives none. */
export const likely = ({ probability, logit }: Pick<Prediction, 'probability' | 'logit'>): string =>
  probability === null ? formatValue(logit) : score(probability);

const likelyWithLogit = (one: Pick<Prediction, 'probability' | 'logit'>): string =>
  one.probability === null ? likely(one) : `${likely(one)} (logit ${formatValue(one.logit)})`;

/** Predictions as a table. */
export const predictionTable = (predictions: readonly Prediction[]): string =>
  table(
    ['class', 'name', 'score'],
    predictions.map((one) => [String(one.index), one.name, likelyWithLogit(one)]),
  );

/** A box in JSON. */
export const boxJson = ({ number, classIndex, className, score, ofPicture }: FoundBox) => ({
  number,
  class: classIndex,
  className,
  score,
  edges: ofPicture,
});

/** One explanation on one line of JSON. */
export function explanationJson(explained: Explained): string {
  const { image, model, device, target, signed, box, explanation, map, peak, weights, files } = explained;
  const { method, layer, classIndex, className, logit, probability, notes, milliseconds, compiling } =
    explanation;
  return visibleJson({
    image,
    model,
    device,
    method,
    layer,
    class: classIndex,
    className,
    logit,
    probability,
    target,
    signed,
    ...(box && { box: boxJson(box) }),
    map: { shape: map.shape, min: least(map.data), max: largest(map.data), peak },
    weights: weights ? { shape: weights.shape } : null,
    notes,
    milliseconds,
    compiling,
    files,
  });
}

/** How pictures become a network's input, in words. */
export function preparation(preprocessing: Preprocessing): string {
  const { channels, order, size, interpolation, scale, mean, std, signal } = preprocessing;
  if (!takesPictures(preprocessing)) {
    const of = channels === 1 ? 'one channel' : `${channels} channels`;
    return `${signal ? 'a signal' : 'an array'} of ${of} (.npy), as it is`;
  }
  return [
    channels === 1 ? 'grey' : (order ?? 'rgb'),
    ...(size ? [scaling(preprocessing)] : []),
    ...(size && interpolation ? [interpolation] : []),
    `(value / ${scale} - ${mean.join(' ')}) / ${std.join(' ')}`,
  ].join(', ');
}

function scaling({ size, resize, fill = 0 }: Preprocessing): string {
  if (resize === undefined) return 'scaled to cover it, cropped';
  if (resize === 'pad') return `scaled to fit into it, ${fill === 0 ? 'black' : `grey ${fill}`} around`;
  if (typeof resize === 'number') return `shorter side to ${resize}, cropped`;
  return resize.join() === size?.join() ? 'stretched to it' : `stretched to ${resize.join(' x ')}, cropped`;
}
