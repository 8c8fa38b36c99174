// A small network that learns in the page: which of three shapes are in a noisy picture, GAP + linear. Some steps a task; what
// it has learnt travels with the task, so that it can be stopped at any time and nothing is lost with a device.

import {
  binaryCrossEntropy,
  type Device,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from '../../../engine/index.ts';
import { evaluate, INPUT } from '../../../models/graph.ts';
import { layers } from '../../../models/index.ts';
import { normal, type Random, random } from '../../../models/train/data/random.ts';
import { adam } from '../../../models/train/optimiser.ts';
import type { Values } from './subject.ts';

export const SHAPES = ['disc', 'cross', 'ring'] as const;
/** The side of a picture, of which the network takes a batch a step. */
export const SIDE = 48;
const BATCH = 16;
const STEPS = 10;
const RATE = 0.01;
const CHANNELS = [1, 12, 24, 24] as const;

const graph = {
  nodes: [
    layers.conv('conv1', INPUT, { in: CHANNELS[0], out: CHANNELS[1], kernel: 5, stride: 2, padding: 2 }),
    layers.relu('relu1', 'conv1'),
    layers.conv('conv2', 'relu1', { in: CHANNELS[1], out: CHANNELS[2], kernel: 3, stride: 2, padding: 1 }),
    layers.relu('relu2', 'conv2'),
    layers.conv('conv3', 'relu2', { in: CHANNELS[2], out: CHANNELS[3], kernel: 3, padding: 1 }),
    layers.relu('features', 'conv3'),
    layers.globalAvgPool('gap', 'features'),
    layers.linear('classifier', 'gap', { in: CHANNELS[3], out: SHAPES.length }),
  ],
  output: 'classifier',
};

/** Each parameter with what the optimiser remembers of it. */
export type Learnt = readonly (readonly [key: string, values: readonly Values[]])[];

/** What a round of steps gives. */
export interface Round {
  readonly learnt: Learnt;
  /** Of each step, before it. */
  readonly losses: readonly number[];
  /** CAM of each shape on the picture that is watched [h, w], and the logits. */
  readonly maps: readonly Values[];
  readonly logits: Float32Array;
}

/** How far a pixel is inside a shape of radius 1, above 0, at (x, y) from its middle. */
const inside: Readonly<Record<(typeof SHAPES)[number], (x: number, y: number) => number>> = {
  disc: (x, y) => 1 - Math.hypot(x, y),
  cross: (x, y) => (Math.max(Math.abs(x), Math.abs(y)) < 1 ? 0.28 - Math.min(Math.abs(x), Math.abs(y)) : -1),
  ring: (x, y) => 0.2 - Math.abs(Math.hypot(x, y) - 0.8),
};

/** A shape in a picture: its index, its middle and its radius in pixels. */
export interface Placed {
  readonly shape: number;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** A picture [SIDE, SIDE] of noise with some of the shapes, each in a quarter of its own. */
export function drawShapes(next: Random): {
  readonly data: Float32Array;
  readonly placed: readonly Placed[];
} {
  const data = Float32Array.from({ length: SIDE ** 2 }, () => 0.25 * next());
  const quarters = [0, 1, 2, 3].map((quarter) => [next(), quarter] as const).sort(([a], [b]) => a - b);
  const placed = SHAPES.flatMap((_, shape): Placed[] => {
    if (next() < 0.5) return [];
    const quarter = quarters[shape]![1];
    const radius = 6 + 3 * next();
    const within = (side: number) => (side * SIDE) / 2 + radius + next() * (SIDE / 2 - 2 * radius);
    return [{ shape, x: within(quarter % 2), y: within(Math.floor(quarter / 2)), radius }];
  });
  for (const { shape, x, y, radius } of placed)
    for (let at = 0; at < data.length; at++) {
      const [dx, dy] = [(at % SIDE) + 0.5 - x, Math.floor(at / SIDE) + 0.5 - y];
      if (inside[SHAPES[shape]!](dx / radius, dy / radius) > 0) data[at] = 0.75 + 0.25 * data[at]!;
    }
  return { data, placed };
}

/** Weights before any learning, as He has them. */
function untaught(): Learnt {
  const next = random(1);
  return graph.nodes.flatMap(({ parameters }) =>
    Object.values(parameters).map(({ key, shape }) => {
      const size = shape.reduce((product, n) => product * n, 1);
      const spread = shape.length === 1 ? 0 : Math.sqrt(2 / (size / shape[0]!));
      const data = Float32Array.from({ length: size }, () => spread * normal(next));
      return [key, [{ shape, data }]] as const;
    }),
  );
}

export const trainTasks = {
  /** Some steps of training from what was learnt in `done` steps, and the maps of the picture that is watched. */
  async train(
    {
      learnt = untaught(),
      done,
      watched,
    }: { readonly learnt: Learnt | undefined; readonly done: number; readonly watched: Float32Array },
    { device }: { readonly device: Device },
  ): Promise<Round> {
    const next = random(1000 + done);
    const upload = ({ shape, data }: Values) => tensor(device, data, shape);
    let state = learnt.map(([key, values]) => [key, values.map(upload)] as const);
    const update = adam({ weightDecay: 0 });
    const losses: Tensor[] = [];
    for (let step = 0; step < STEPS; step++) {
      const pictures = Array.from({ length: BATCH }, () => drawShapes(next));
      const input = new Float32Array(BATCH * SIDE ** 2);
      const truth = new Float32Array(BATCH * SHAPES.length);
      pictures.forEach(({ data, placed }, i) => {
        input.set(data, i * SIDE ** 2);
        for (const { shape } of placed) truth[i * SHAPES.length + shape] = 1;
      });
      const old = state;
      const made = scope(() => {
        const [x, y] = [
          tensor(device, input, [BATCH, 1, SIDE, SIDE]),
          tensor(device, truth, [BATCH, SHAPES.length]),
        ];
        const loss = (...values: Tensor[]) => {
          const parameters = new Map(old.map(([key], i) => [key, values[i]!]));
          return binaryCrossEntropy(
            evaluate(graph, parameters, new Map([[INPUT, x]]), [graph.output]).get(graph.output)!,
            y,
          );
        };
        const values = old.map(([, [value]]) => value!);
        const { value: lost, gradients } = valueAndGrad(loss, values);
        const updated = old.map(([, [value, ...memory]], i) =>
          update(value!, gradients[i]!, memory.length > 0 ? memory : undefined, RATE),
        );
        return [lost, ...updated.flatMap(({ value, memory }) => [value, ...memory])];
      });
      losses.push(made[0]!);
      state = old.map(([key], i) => [key, made.slice(1 + 3 * i, 4 + 3 * i)] as const);
      for (const one of old.flatMap(([, values]) => values)) one.dispose();
    }
    const [features, logits] = scope(() => {
      const parameters = new Map(state.map(([key, [value]]) => [key, value!]));
      const given = new Map([[INPUT, tensor(device, watched, [1, 1, SIDE, SIDE])]]);
      const found = evaluate(graph, parameters, given, ['features', graph.output]);
      return [found.get('features')!, found.get(graph.output)!];
    });
    const read = async (one: Tensor): Promise<Values> => {
      const data = await one.data();
      one.dispose();
      return { shape: one.shape, data };
    };
    const result = await Promise.all(
      state.map(async ([key, values]) => [key, await Promise.all(values.map(read))] as const),
    );
    const [featureMap, said] = [await read(features!), await read(logits!)];
    const weights = result.find(([key]) => key === 'classifier.weight')![1][0]!.data;
    return {
      learnt: result,
      losses: (await Promise.all(losses.map(read))).map(({ data }) => data[0]!),
      maps: SHAPES.map((_, shape) =>
        camOf(featureMap, weights.subarray(shape * CHANNELS[3], (shape + 1) * CHANNELS[3])),
      ),
      logits: said.data,
    };
  },
};

/** CAM: the feature map's channels by their weights [h, w]. */
function camOf({ shape, data }: Values, weights: Float32Array): Values {
  const [height, width] = shape.slice(2) as [number, number];
  const area = height * width;
  const map = new Float32Array(area);
  weights.forEach((weight, k) => {
    for (let at = 0; at < area; at++) map[at]! += weight * data[k * area + at]!;
  });
  return { shape: [height, width], data: map };
}
