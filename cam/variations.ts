// A method taken of several versions of the picture, and the mean of its maps:
//
//   M = 1/n sum_i back_i(M(version_i(X)))        before the method's ReLU, if it has one
//
//   smooth-     SmoothGrad (Smilkov 2017): X and noise of a standard deviation of SPREAD of its range, n = NOISY
//   augmented-  X and its mirror image, each as bright as it is, a tenth darker and a tenth brighter (pytorch-grad-cam 2021)

import { add, affine, gather, indexTensor, scale, type Tensor, tensor } from '../engine/index.ts';
import { INPUT } from '../models/graph.ts';
import { normal, random } from '../models/train/data/random.ts';
import { type Method, stepsOf } from './method.ts';
import { observe } from './trace.ts';

const [NOISY, SPREAD] = [16, 0.15];

/** A version of a picture [1, C, H, W], and its map [h, w] as one of the picture. */
interface Version {
  readonly picture: Tensor;
  readonly back: (map: Tensor) => Tensor;
}

/** The last axis backwards. */
function mirrored(x: Tensor): Tensor {
  const width = x.shape.at(-1)!;
  const backwards = Array.from({ length: width }, (_, i) => width - 1 - i);
  return gather(x, indexTensor(x.device, backwards, [width]), x.shape.length - 1);
}

function noisy(picture: Tensor, pixels: Float32Array): Version[] {
  const [low, high] = pixels.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const next = random(1);
  return Array.from({ length: NOISY }, () => {
    const noise = pixels.map(() => SPREAD * (high - low) * normal(next));
    return { picture: add(picture, tensor(picture.device, noise, picture.shape)), back: (map) => map };
  });
}

const augmented = (picture: Tensor): Version[] =>
  [0.9, 1, 1.1].flatMap((brightness) => {
    const lit = affine(picture, brightness, 0);
    return [
      { picture: lit, back: (map: Tensor) => map },
      { picture: mirrored(lit), back: mirrored },
    ];
  });

const over =
  (
    { title, prefix, says }: { title: string; prefix: string; says: string },
    versionsOf: (picture: Tensor, pixels: Float32Array) => Version[],
  ) =>
  (method: Method): Method => ({
    name: `${prefix}${method.name}`,
    title: `${title} of ${method.title}`,
    paper: method.paper,
    relu: method.relu,
    ...(method.layerOf && { layerOf: method.layerOf }),
    terms: {
      M: {
        tex: `\\frac{1}{n} \\sum_i \\left( ${method.terms.M.tex} \\right)_i`,
        equation: says,
        is: `mean of the maps of versions of the picture: ${method.terms.M.is}`,
      },
    },
    *explain({ trace, layer }, context) {
      const { network, picture, value } = trace;
      const [pixels] = yield [picture];
      const versions = versionsOf(picture, pixels!);
      const maps: Tensor[] = [];
      for (const version of versions) {
        const inputs = (network.graph.inputs ?? [INPUT]).map((name) => [name, value(name)] as const);
        const other = observe(
          network,
          { ...Object.fromEntries(inputs), [INPUT]: version.picture },
          { layers: [layer] },
        );
        try {
          const { progress: _, ...quietly } = context;
          const { M } = yield* stepsOf(method, other.at(layer), quietly);
          maps.push(affine(version.back(M), 1, 0));
          yield [maps.at(-1)!];
        } finally {
          other.dispose();
        }
        context.progress?.(maps.length / versions.length);
      }
      return { M: scale(maps.reduce(add), 1 / maps.length) };
    },
  });

/** What a method may be taken over, by the prefix of its name. */
export const variations: ReadonlyMap<string, (method: Method) => Method> = new Map([
  ['smooth-', over({ title: 'SmoothGrad', prefix: 'smooth-', says: 'Smilkov 2017, the definition' }, noisy)],
  [
    'augmented-',
    over({ title: 'Test-time augmentation', prefix: 'augmented-', says: 'pytorch-grad-cam 2021' }, augmented),
  ],
]);
