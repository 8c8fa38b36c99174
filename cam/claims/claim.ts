// What a claim is: a statement that must hold on a network, and a measurement of by how much it does not.

import { sizeOf } from '../../engine/index.ts';
import { firstNonlinear } from '../../models/dry-run.ts';
import { INPUT, nodeOf, nodesBetween } from '../../models/graph.ts';
import type { TracedLayer } from '../trace.ts';

/** A claim about a network, and how it is measured. */
export interface Claim {
  readonly name: string;
  /** The claim in words. */
  readonly sentence: string;
  /** The claim as a formula. */
  readonly tex: string;
  /** Why it need not hold here; undefined where it must. */
  readonly exempt: (seen: TracedLayer) => string | undefined | Promise<string | undefined>;
  /** By how much it fails for the logit of a class, as a share of the numbers compared; 0 where it holds exactly. */
  readonly residual: (seen: TracedLayer, classIndex: number) => Promise<number>;
  /** The largest residual at which it is said to hold. */
  readonly bound: (seen: TracedLayer) => number;
  /** Where the bound comes from. */
  readonly because: string;
}

/** Half the distance from 1 to the next f32. */
const UNIT = 2 ** -24;
/** Standard deviations of rounding that are allowed. */
const ALLOWED = 8;

export const roundingReason =
  'f32 rounding: a sum of n terms is off by about sqrt(n) 2^-24 of them (Higham, Mary 2019); 8 times the sum over layers';

/** The share by which f32 rounding may change what follows a node: each layer adds the error of its longest sum. */
export function rounding({ trace }: TracedLayer, from: string): number {
  const { graph, shapes, multiplyAdds } = trace.dry();
  const size = (name: string) => Math.max(1, sizeOf(shapes.get(name)!));
  const known = new Set([from, ...(graph.inputs ?? [INPUT])]);
  const errors = nodesBetween(graph, known, [graph.output]).map(({ name, inputs }) =>
    Math.sqrt(
      Math.max(1, multiplyAdds.get(name)! / size(name), ...inputs.map((input) => size(input) / size(name))),
    ),
  );
  return ALLOWED * UNIT * errors.reduce((a, b) => a + b, Math.sqrt(size(from)));
}

/** Why a claim on scores that are affine in the feature map does not apply; undefined where it does. */
export function notAffine({ trace, layer }: TracedLayer): string | undefined {
  const bend = firstNonlinear(trace.dry(), nodeOf(trace.network.graph, layer).name);
  return bend && `after "${layer}", "${bend.name}" (${bend.kind}) is not linear`;
}

/** The largest |a - b| as a share of a size; 0 where both are alike, whatever the size. */
export function gap(a: Float32Array, b: Float32Array, size: number): number {
  const difference = a.reduce((most, value, i) => {
    const off = Math.abs(value - b[i]!);
    return off > most || Number.isNaN(off) ? off : most;
  }, 0);
  return difference === 0 ? 0 : difference / size;
}

export const largest = (values: Float32Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
