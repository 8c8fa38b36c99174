// What a claim is: a statement that must hold on a network, and a measurement of by how much it does not.

import { reshape, type Steps, scopeInSteps, sizeOf, type Tensor } from '../../engine/index.ts';
import { firstCurved, firstNonlinear } from '../../models/dry-run.ts';
import { type GraphNode, INPUT, nodeOf, nodesBetween } from '../../models/graph.ts';
import { type Method, type MethodContext, stepsOf } from '../method.ts';
import { notPooled } from '../pooled.ts';
import { logit } from '../targets.ts';
import type { TracedLayer } from '../trace.ts';

/** A claim about a network, and how it is measured. */
export interface Claim {
  readonly name: string;
  /** The claim in words. */
  readonly sentence: string;
  /** The claim as a formula. */
  readonly tex: string;
  /** Why it need not hold here; undefined where it must, as everywhere when left out. */
  readonly exempt?: (seen: TracedLayer) => string | undefined | Promise<string | undefined>;
  /** By how much it fails for the logit of a class, as a share of the numbers compared; 0 where it holds exactly. */
  readonly residual: (
    seen: TracedLayer,
    classIndex: number,
    /** Called as slow claims go on, with the share done. */
    progress: (share: number) => void,
  ) => Promise<number>;
  /** The largest residual at which it is said to hold; the rounding behind the layer when left out. */
  readonly bound?: (seen: TracedLayer) => number;
  /** Where the bound comes from; from rounding when left out. */
  readonly because?: string;
}

type Exemption = NonNullable<Claim['exempt']>;

/** Half the distance from 1 to the next f32. */
const UNIT = 2 ** -24;
/** Standard deviations of rounding that are allowed. */
const ALLOWED = 8;

export const roundingReason =
  'f32 rounding: a sum of n terms is off by about sqrt(n) 2^-24 of them (Higham, Mary 2019); 8 times the sum over layers';

/**
 * The share by which f32 rounding may change what follows a node, the layer when left out: each layer adds the error of its
 * longest sum.
 */
export function rounding({ trace, layer }: TracedLayer, from: string = layer): number {
  const { graph, shapes, multiplyAdds } = trace.dry();
  const size = (name: string) => Math.max(1, sizeOf(shapes.get(name)!));
  const given = new Set([from, ...(graph.inputs ?? [INPUT])]);
  const errors = nodesBetween(graph, given, [graph.output]).map(({ name, inputs }) =>
    Math.sqrt(
      Math.max(1, multiplyAdds.get(name)! / size(name), ...inputs.map((input) => size(input) / size(name))),
    ),
  );
  return ALLOWED * UNIT * errors.reduce((a, b) => a + b, Math.sqrt(size(from)));
}

/** Why a claim does not apply, from the first node that breaks it. */
const because = (layer: string, node: GraphNode | undefined, is: string): string | undefined =>
  node && `after "${layer}", "${node.name}" (${node.kind}) ${is}`;

const nameOf = ({ trace, layer }: TracedLayer): string => nodeOf(trace.network.graph, layer).name;

/** Why a claim on scores, or another value, that are affine in the feature map does not apply; undefined where it does. */
export const notAffine = (seen: TracedLayer, to?: string): string | undefined =>
  because(seen.layer, firstNonlinear(seen.trace.dry(), nameOf(seen), to), 'is not linear');

/** The same of scores that are affine in it between kinks, as behind ReLU and max pooling. */
export const notPiecewise = (seen: TracedLayer): string | undefined => curvedAfter(seen, nameOf(seen));

/** The same of what follows another value. */
export const curvedAfter = ({ trace }: TracedLayer, name: string): string | undefined =>
  because(name, firstCurved(trace.dry(), name), 'is curved');

/** The same of networks that see of the feature map its channels' means alone. */
export const seesPositions = (seen: TracedLayer): string | undefined =>
  because(seen.layer, notPooled(seen), 'sees more than the mean of each channel');

/** The first of several reasons why a claim does not apply. */
export const either =
  (...reasons: readonly Exemption[]): Exemption =>
  async (seen) => {
    for (const reason of reasons) {
      const found = await reason(seen);
      if (found !== undefined) return found;
    }
    return undefined;
  };

/** The numbers that a method finds of a class, or of another target, by their symbols. */
export async function numbersOf(
  method: Method,
  seen: TracedLayer,
  classIndex: number,
  context: Partial<MethodContext> = {},
): Promise<Readonly<Record<string, Float32Array>>> {
  const found = await scopeInSteps(
    handles(stepsOf(method, seen, { target: logit(classIndex), classIndex, ...context })),
  );
  const numbers = await Promise.all(
    Object.entries(found).map(async ([symbol, x]) => [symbol, await x.data()] as const),
  );
  for (const x of Object.values(found)) x.dispose();
  return Object.fromEntries(numbers);
}

/** Handles of what a method finds: some of its tensors belong to the trace. */
function* handles(steps: ReturnType<typeof stepsOf>): Steps<Record<string, Tensor>> {
  const found = yield* steps;
  return Object.fromEntries(Object.entries(found).map(([symbol, x]) => [symbol, reshape(x, x.shape)]));
}

/** What a feature map and the like [1, K, h, w] hold of each channel: K rows of h w numbers. */
export function channelsOf(values: Float32Array, { featureMap }: TracedLayer): Float32Array[] {
  const channels = featureMap.shape[1]!;
  const size = values.length / channels;
  return Array.from({ length: channels }, (_, k) => values.subarray(k * size, (k + 1) * size));
}

export const total = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum;
};

/** sum_i |a_i b_i|, the size of a product's terms. */
export const sizeOfProduct = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! * b[i]!);
  return sum;
};

/** The largest |a - b| as a share of a size; 0 where both are alike, whatever the size. */
export function gap(a: ArrayLike<number>, b: ArrayLike<number>, size: number): number {
  let difference = 0;
  for (let i = 0; i < a.length; i++) {
    const off = Math.abs(a[i]! - b[i]!);
    if (off > difference || Number.isNaN(off)) difference = off;
  }
  return difference === 0 ? 0 : difference / size;
}

/** The largest magnitude; 0 of none. */
export const magnitude = (values: Iterable<number>): number => {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
};
