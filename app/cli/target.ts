// What `--target` means: what of a class is explained.

import { type Target, targets } from '../../cam/index.ts';
import { LimelightError, type Tensor, tensor } from '../../engine/index.ts';
import type { Box } from '../../models/detection.ts';
import { nearest } from '../../models/near.ts';
import { classIndex, type NetworkDescription } from '../../models/network.ts';
import { asUsage, UsageError } from './errors.ts';

/** A target as the command line gives it. */
export interface TargetChoice {
  readonly text: string;
  /** The class that it names, where it is not one of `--class`. */
  readonly named?: number;
  /** The one that it names among the boxes of a picture. */
  readonly box?: <B extends Box>(boxes: readonly B[]) => B;
  readonly of: (index: number, box?: Box) => Target;
}

/** Targets of whichever class is explained. */
const ofClass: Readonly<Record<string, (index: number, network: NetworkDescription) => Target>> = {
  logit: (index) => targets.logit(index),
  'log-probability': (index, { probabilities }) => targets.logProbability(index, probabilities),
  probability: (index, { probabilities }) => targets.probability(index, probabilities),
};

/** A target that names what it is of: how that is written, and what is made of it. */
interface NamedTarget {
  readonly form: string;
  readonly read: (name: string, network: NetworkDescription) => Omit<TargetChoice, 'text'>;
}

const ofNamed: Readonly<Record<string, NamedTarget>> = {
  not: {
    form: 'CLASS',
    read: (name, network) => ({ named: classIndex(network, name), of: targets.not }),
  },
  difference: {
    form: 'A-B',
    read(names, network) {
      const [first, second] = twoClasses(names, network);
      return { named: first, of: (index) => targets.difference(index, second) };
    },
  },
  finer: {
    form: 'A-B',
    read(names, network) {
      const [first, second] = twoClasses(names, network);
      return { named: first, of: (index) => targets.finer(index, [second]) };
    },
  },
  value: {
    form: 'OUTPUT',
    read(output, { name, graph: { outputs = new Map() } }) {
      if (outputs.has(output)) return { of: () => targets.value(output) };
      throw new UsageError(
        `${name} has no output "${output}"; ${nearest(output, [...outputs.keys()], 'outputs')}`,
      );
    },
  },
  box: {
    form: 'N',
    read(number, network) {
      if (!network.detection)
        throw new UsageError(
          `box:${number}: ${network.name} is no detector, it finds no boxes; name a class instead`,
        );
      if (!/^\d+$/.test(number))
        throw new UsageError(
          `box:${number}: give the number of a box that the detector finds, such as box:0`,
        );
      return { box: (boxes) => boxAt(boxes, Number(number)), of: (_, box) => targets.box(network, box!) };
    },
  },
  region: {
    form: 'LEFT,TOP,RIGHT,BOTTOM',
    read(text, { name, segmentation }) {
      if (!segmentation)
        throw new UsageError(`region:${text}: ${name} scores no classes at each place of the picture`);
      const edges = edgesOf(text);
      const { scores } = segmentation;
      return {
        of: (index) => (outputs) =>
          targets.region(scores, index, placesInside(outputs[scores]!, edges))(outputs),
      };
    },
  },
};

/** Edges of a part of the picture, as shares of its width and height. */
function edgesOf(text: string): [left: number, top: number, right: number, bottom: number] {
  const edges = text.split(',').map((share) => (share.trim() === '' ? Number.NaN : Number(share)));
  const [left, top, right, bottom] = edges as [number, number, number, number];
  const fits = edges.length === 4 && edges.every((n) => n >= 0 && n <= 1) && left < right && top < bottom;
  if (fits) return [left, top, right, bottom];
  throw new UsageError(
    `region:${text}: give left, top, right and bottom as shares of the picture, such as region:0,0.5,0.5,1`,
  );
}

/** 1 at the places of scores [N, classes, h, w] whose centres lie inside the edges. */
function placesInside({ device, shape }: Tensor, [left, top, right, bottom]: ReturnType<typeof edgesOf>) {
  const [h, w] = shape.slice(2) as [number, number];
  const mask = Float32Array.from({ length: h * w }, (_, i) => {
    const [x, y] = [((i % w) + 0.5) / w, (Math.floor(i / w) + 0.5) / h];
    return Number(x >= left && x < right && y >= top && y < bottom);
  });
  return tensor(device, mask, [h, w]);
}

function boxAt<B extends Box>(boxes: readonly B[], number: number): B {
  const box = boxes[number];
  if (box) return box;
  const found = boxes.length === 0 ? 'no box' : `boxes 0 to ${boxes.length - 1}`;
  throw new LimelightError(`there is no box ${number}: the network finds ${found} here`);
}

/** How targets are written, for those who ask. */
export const targetForms = [
  ...Object.keys(ofClass),
  ...Object.entries(ofNamed).map(([name, { form }]) => `${name}:${form}`),
].join(', ');

/** A target by its text; bad usage where there is none, or the network has no such class or no probabilities. */
export function readTarget(text: string, network: NetworkDescription): TargetChoice {
  const simple = ofClass[text];
  if (simple) {
    asUsage(() => simple(0, network));
    return { text, of: (index) => simple(index, network) };
  }
  const [form, ...names] = text.split(':') as [string, ...string[]];
  const target = ofNamed[form];
  if (target && names.length > 0) return { text, ...asUsage(() => target.read(names.join(':'), network)) };
  throw new UsageError(`there is no target "${text}"; the targets are ${targetForms}`);
}

/** The classes of A-B, whose names may hold hyphens. */
function twoClasses(names: string, network: NetworkDescription): [number, number] {
  const parts = names.split('-');
  const found = parts.slice(1).flatMap((_, i): [number, number][] => {
    try {
      const [a, b] = [parts.slice(0, i + 1).join('-'), parts.slice(i + 1).join('-')];
      return [[classIndex(network, a), classIndex(network, b)]];
    } catch {
      return [];
    }
  });
  const [pair, ...others] = found;
  if (pair && others.length === 0) return pair;
  throw new UsageError(`${names}: give two classes of ${network.name} as A-B, by index or by name`);
}
