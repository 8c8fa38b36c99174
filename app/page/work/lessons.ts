// What lessons ask beyond explanations: a small network whose tail is bent as much as the lesson says.

import { disposeExplanation, explain, mapFunction, methodOf } from '../../../cam/index.ts';
import { gradientTimesValue } from '../../../cam/methods/attn-lrp.ts';
import type { LrpRule } from '../../../cam/rules.ts';
import {
  add,
  type Device,
  grad,
  mul,
  scale,
  scope,
  sub,
  sum,
  type Tensor,
  tensor,
} from '../../../engine/index.ts';
import { INPUT } from '../../../models/graph.ts';
import { disposeNetwork, layers, loadNetwork } from '../../../models/index.ts';
import { normal, random } from '../../../models/train/data/random.ts';
import type { Subject, Values, Work } from './subject.ts';

const CLASSES = ['a', 'b', 'c'];
const SIDE = 6;
const CHANNELS = 8;

/** Two convolutions, the feature map between them, an activation and global average pooling. */
function graphOf(activation: 'relu' | 'gelu') {
  const bent = activation === 'relu' ? layers.relu('bent', 'mixed') : layers.gelu('bent', 'mixed');
  return {
    nodes: [
      layers.conv('first', 'input', { in: 1, out: CHANNELS, kernel: 3, padding: 1 }),
      layers.relu('features', 'first'),
      layers.conv('mixed', 'features', { in: CHANNELS, out: CHANNELS, kernel: 3, padding: 1 }),
      bent,
      layers.globalAvgPool('gap', 'bent'),
      layers.linear('classifier', 'gap', { in: CHANNELS, out: CLASSES.length }),
    ],
    output: 'classifier',
  };
}

/** Normal numbers, the same for one seed whatever the activation, in the shapes that a graph's parameters have. */
function randomWeights({ nodes }: ReturnType<typeof graphOf>, seed: number) {
  const next = random(seed);
  const parameters = nodes.flatMap((node) => Object.values(node.parameters));
  return new Map(
    parameters.map(({ key, shape }) => {
      const size = shape.reduce((product, n) => product * n, 1);
      const spread = Math.sqrt(2 / (size / shape[0]!));
      return [
        key,
        { shape, data: Float32Array.from({ length: size }, () => spread * normal(next)) },
      ] as const;
    }),
  );
}

/** A map before and after, and what the network said of the pictures. */
export interface Lie {
  /** The changed picture as the network takes it [1, C, H, W]. */
  readonly picture: Values;
  readonly before: Values;
  readonly after: Values;
  readonly logits: readonly [before: Float32Array, after: Float32Array];
  /** By how much a value of the input was changed: at most, and in the mean. */
  readonly change: { readonly most: number; readonly mean: number };
}

/** How a picture is changed: steps of Adam, their size, the width of the new peak in cells, what a moved logit costs. */
const LIE = { steps: 40, rate: 0.01, width: 1.2, stillness: 0.1 } as const;

export const lessonTasks = {
  /** Gradient times value before the first attention [h, w], by some of AttnLRP's rules; what it adds up to. */
  async relevance(
    {
      subject,
      classIndex,
      rules,
    }: { readonly subject: Subject; readonly classIndex: number; readonly rules: readonly LrpRule[] },
    { open }: Work,
  ): Promise<{ readonly map: Values; readonly logit: number }> {
    const { trace } = await open(subject);
    const method = gradientTimesValue(rules);
    const layer = method.layerOf!(trace.dry())!;
    const [found] = await explain(trace, { methods: [method], classes: [classIndex], layer, signed: true });
    const map = { shape: found!.map.shape, data: await found!.map.data() };
    disposeExplanation(found!);
    return { map, logit: found!.logit };
  },

  /**
   * Changes a picture so that Grad-CAM's map of a class has its peak in another cell, while the logits stay (Dombrowski 2019,
   * equation 2): the sum of squares of what map and logits are off by, brought down by its exact derivative.
   */
  async lie(
    {
      subject,
      classIndex,
      cell,
    }: { readonly subject: Subject; readonly classIndex: number; readonly cell: number },
    { open, device, progress }: Work,
  ): Promise<Lie> {
    const { trace, network } = await open(subject);
    const map = mapFunction(trace, methodOf('grad-cam'), { classIndex, layer: network.targetLayer });
    const logitsOf = (x: Tensor) => trace.vary(new Map([[INPUT, x]]), ['logits']).logits;
    const read = async (f: () => Tensor): Promise<Values> => {
      const value = scope(f);
      const data = await value.data();
      value.dispose();
      return { shape: value.shape, data };
    };
    const { picture } = trace;
    const [before, said] = [await read(() => map(picture)), await trace.outputs.logits.data()];
    const width = before.shape[1]!;
    const high = before.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const far = (i: number) =>
      ((i % width) - (cell % width)) ** 2 + (Math.floor(i / width) - Math.floor(cell / width)) ** 2;
    const goal = before.data.map((_, i) => high * Math.exp(-far(i) / (2 * LIE.width ** 2)));
    const [wanted, still] = [
      tensor(device, goal, before.shape),
      tensor(device, said, trace.outputs.logits.shape),
    ];
    const squares = (x: Tensor) => sum(mul(x, x));
    const loss = (x: Tensor) =>
      add(
        scale(squares(sub(map(x), wanted)), 1 / high ** 2),
        scale(squares(sub(logitsOf(x), still)), LIE.stillness),
      );
    const original = await picture.data();
    const values = original.slice();
    const [first, second] = [new Float64Array(values.length), new Float64Array(values.length)];
    const [low, top] = [original.reduce((a, b) => Math.min(a, b)), original.reduce((a, b) => Math.max(a, b))];
    for (let step = 1; step <= LIE.steps; step++) {
      const at = tensor(device, values, picture.shape);
      const slope = await read(() => grad(loss)(at));
      at.dispose();
      slope.data.forEach((g, i) => {
        first[i] = 0.9 * first[i]! + 0.1 * g;
        second[i] = 0.99 * second[i]! + 0.01 * g * g;
        const [mean, square] = [first[i]! / (1 - 0.9 ** step), second[i]! / (1 - 0.99 ** step)];
        values[i] = Math.min(top, Math.max(low, values[i]! - (LIE.rate * mean) / (Math.sqrt(square) + 1e-8)));
      });
      progress(step / LIE.steps);
    }
    const changed = tensor(device, values, picture.shape);
    const [after, moved] = [await read(() => map(changed)), await read(() => logitsOf(changed))];
    for (const made of [changed, wanted, still]) made.dispose();
    const changes = values.map((value, i) => Math.abs(value - original[i]!));
    return {
      picture: { shape: picture.shape, data: values },
      before,
      after,
      logits: [said, moved.data],
      change: {
        most: changes.reduce((a, b) => Math.max(a, b)),
        mean: changes.reduce((a, b) => a + b) / changes.length,
      },
    };
  },

  /** Grad-CAM++'s weights [K] by its closed form and by true derivatives, on a network with this activation after A. */
  async tail(
    { activation, seed }: { readonly activation: 'relu' | 'gelu'; readonly seed: number },
    { device }: { readonly device: Device },
  ): Promise<{ readonly closed: Float32Array; readonly exact: Float32Array }> {
    const graph = graphOf(activation);
    const description = {
      name: `a ${activation} tail`,
      summary: 'random weights',
      graph,
      preprocessing: { channels: 1, scale: 1, mean: [0], std: [1] },
      classes: CLASSES,
      probabilities: 'none',
      targetLayer: 'features',
    } as const;
    const network = loadNetwork(device, description, randomWeights(graph, seed));
    const next = random(seed + 1);
    const picture = Float32Array.from({ length: SIDE ** 2 }, () => normal(next));
    const input = tensor(device, picture, [1, 1, SIDE, SIDE]);
    const found = await explain(network, input, { methods: ['grad-cam++', 'grad-cam++-true'], classes: [0] });
    const [closed, exact] = await Promise.all(found.map(({ weights }) => weights!.data()));
    for (const one of found) disposeExplanation(one);
    input.dispose();
    disposeNetwork(network);
    return { closed: closed!, exact: exact! };
  },
};
