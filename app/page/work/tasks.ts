// What the page asks of the library, in a worker: each task takes plain data and gives plain data.

import {
  disposeExplanation,
  explain as explainTrace,
  methodOf,
  type Prediction,
  targets,
} from '../../../cam/index.ts';
import { LimelightError, mul, type Shape, scope, tensor } from '../../../engine/index.ts';
import { INPUT } from '../../../models/graph.ts';
import { type Pixels, preprocess } from '../../../models/index.ts';
import type { Fuse } from '../state.ts';
import { benchTasks } from './bench.ts';
import { claimTasks } from './claims.ts';
import { lessonTasks } from './lessons.ts';
import type { Subject, Values, Work } from './subject.ts';
import { trainTasks } from './train.ts';

/** What a network makes of a picture. */
export interface Predicted {
  readonly name: string;
  readonly summary: string;
  readonly probabilities: 'softmax' | 'sigmoid' | 'none';
  readonly seen: Pixels;
  /** The most probable first. */
  readonly classes: readonly Prediction[];
  readonly targetLayer: string;
  /** The outputs that the network's file names. */
  readonly outputs: readonly string[];
  /** The picture before it became an input: its size, and the share of its pixels that have a colour. */
  readonly picture: { readonly width: number; readonly height: number; readonly coloured: number };
  readonly channels: number;
  /** Every node in order; `shape` where it can be explained. */
  readonly nodes: readonly {
    readonly name: string;
    readonly kind: string;
    readonly inputs: readonly string[];
    readonly shape: Shape;
    readonly explained: boolean;
  }[];
}

/** What is explained of a subject, and how. */
export interface Asked {
  readonly subject: Subject;
  readonly method: string;
  readonly classIndex: number;
  /** None: the method's. Several are fused. */
  readonly layers: readonly string[];
  readonly fuse: Fuse;
  readonly of: 'logit' | 'probability';
}

/** One explanation. */
export interface Answer {
  readonly method: string;
  readonly title: string;
  readonly layer: string;
  readonly classIndex: number;
  readonly className: string;
  readonly logit: number;
  readonly probability: number | null;
  /** At layer resolution [h, w], in the method's own units, before its ReLU; of fused layers at the input's size. */
  readonly map: Values;
  /** One a channel [K], where the method has weights. */
  readonly weights: Float32Array | undefined;
  readonly notes: readonly string[];
  readonly milliseconds: number;
}

/** A symbol of a formula with its numbers. */
export interface TermValues extends Values {
  readonly symbol: string;
  readonly tex: string;
  readonly equation: string;
  readonly is: string;
}

const targetOf = (of: Asked['of']) =>
  of === 'logit'
    ? {}
    : {
        target: (index: number, { probabilities }: { probabilities: Predicted['probabilities'] }) =>
          targets.probability(index, probabilities),
      };

/** Terms of more elements are not shown. */
const MOST_ELEMENTS = 2 ** 23;

/** How far the parts of a pixel's colour are apart before one sees that it has a colour. */
const COLOUR = 40;

function colouredShare({ width, height, rgb }: Pixels): number {
  let coloured = 0;
  for (let i = 0; i < rgb.length; i += 3) {
    const [r, g, b] = [rgb[i]!, rgb[i + 1]!, rgb[i + 2]!];
    if (Math.max(r, g, b) - Math.min(r, g, b) > COLOUR) coloured++;
  }
  return coloured / (width * height);
}

async function explainOne(asked: Asked, { open, progress }: Work, signed: boolean) {
  const { trace, network } = await open(asked.subject);
  const best = methodOf(asked.method).layerOf?.(trace.dry()) ?? network.targetLayer;
  const [found] = await explainTrace(trace, {
    methods: [asked.method],
    classes: [asked.classIndex],
    layer: asked.layers.length > 0 ? asked.layers : best,
    ...(asked.fuse && { fuse: asked.fuse }),
    signed,
    progress: (_, share) => progress(share),
    ...targetOf(asked.of),
  });
  return { trace, found: found! };
}

export const tasks = {
  /** Opens a network and runs it on a picture. */
  async predict({ subject }: { readonly subject: Subject }, { open }: Work): Promise<Predicted> {
    const { network, trace, seen, pixels } = await open(subject);
    const classes = await trace.predictions();
    const { shapes } = trace.dry();
    const explained = new Set(trace.layers);
    return {
      name: network.name,
      summary: network.summary,
      probabilities: network.probabilities,
      seen,
      classes: classes.sort((a, b) => b.logit - a.logit),
      targetLayer: network.targetLayer,
      outputs: [...(network.graph.outputs?.keys() ?? [])],
      picture: { width: pixels.width, height: pixels.height, coloured: colouredShare(pixels) },
      channels: network.preprocessing.channels,
      nodes: network.graph.nodes.map(({ name, kind, inputs }) => ({
        name,
        kind,
        inputs,
        shape: shapes.get(name)!,
        explained: explained.has(name),
      })),
    };
  },

  /** Explains one class by one method at one layer. */
  async explain(asked: Asked, work: Work): Promise<Answer> {
    // With its sign: what is cut off can be shown, or not, without computing it again.
    const { found } = await explainOne(asked, work, true);
    const { map, weights, layer, className, probability, logit, notes, milliseconds } = found;
    const values = { shape: map.shape, data: await map.data() };
    const weighed = await weights?.data();
    disposeExplanation(found);
    return {
      method: asked.method,
      title: methodOf(asked.method).title,
      layer,
      classIndex: asked.classIndex,
      className,
      probability,
      logit,
      map: values,
      weights: weighed,
      notes,
      milliseconds,
    };
  },

  /** The feature map and every term of a method's formula. */
  async terms(
    asked: Asked,
    work: Work,
  ): Promise<{ readonly featureMap: Values; readonly terms: readonly TermValues[] }> {
    const { trace, found } = await explainOne(asked, work, true);
    try {
      const { featureMap } = trace.at(found.layer);
      if (featureMap.size > MOST_ELEMENTS)
        throw new LimelightError(
          `the feature map of "${found.layer}" has ${featureMap.size} elements, too many to show each; choose a later layer`,
        );
      return {
        featureMap: { shape: featureMap.shape, data: await featureMap.data() },
        terms: await Promise.all(
          found.terms.map(async ({ symbol, tex, equation, is, tensor }) => ({
            symbol,
            tex,
            equation,
            is,
            shape: tensor.shape,
            data: await tensor.data(),
          })),
        ),
      };
    } finally {
      disposeExplanation(found);
    }
  },

  /** The score of a class without some channels of a layer. */
  async ablate(
    {
      subject,
      layer,
      classIndex,
      channels,
    }: {
      readonly subject: Subject;
      readonly layer: string;
      readonly classIndex: number;
      readonly channels: readonly number[];
    },
    { open, device }: Work,
  ): Promise<{ readonly logit: number; readonly probability: number | null }> {
    const { trace, network } = await open(subject);
    const { featureMap, score } = trace.at(layer);
    const kept = new Float32Array(featureMap.shape[1]!).fill(1);
    for (const channel of channels) kept[channel] = 0;
    const scores = scope(() => {
      const without = mul(featureMap, tensor(device, kept, [1, kept.length, 1, 1]));
      const wanted = [
        targets.logit(classIndex),
        ...(network.probabilities === 'none' ? [] : [targets.probability(classIndex, network.probabilities)]),
      ];
      return wanted.map((target) => score(target, without));
    });
    const [logit, probability] = await Promise.all(scores.map(async (one) => (await one.data())[0]!));
    for (const one of scores) one.dispose();
    return { logit: logit!, probability: probability ?? null };
  },

  /** The logits of other pictures of the subject's size, a row a picture. */
  async logits(
    { subject, pictures }: { readonly subject: Subject; readonly pictures: readonly Pixels[] },
    { open }: Work,
  ): Promise<readonly Float32Array[]> {
    const { trace, network } = await open(subject);
    const rows = pictures.map((picture) =>
      scope(() => trace.vary(new Map([[INPUT, preprocess(network, picture)]]), ['logits']).logits),
    );
    const read = await Promise.all(rows.map((row) => row.data()));
    for (const row of rows) row.dispose();
    return read;
  },

  ...claimTasks,
  ...lessonTasks,
  ...benchTasks,
  ...trainTasks,
};

export type Tasks = typeof tasks;
