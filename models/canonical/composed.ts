// Rewrites of functions and normalisations that exporters take apart. A part of the graph that depends on one value is
// run on a row of numbers, on the host: what it gives says what it is, in whatever steps it was written.

import type { Shape } from '../../engine/index.ts';
import { eachParameter, type GraphNode } from '../graph.ts';
import { type ElementFunction, functions, hardSigmoid } from '../layers/functions.ts';
import * as layers from '../layers.ts';
import type { Around, Rewrite } from './rewrite.ts';

/** Functions that are known by their values. */
const KNOWN: readonly ElementFunction[] = [
  functions.gelu,
  functions.tanhGelu,
  functions.silu,
  functions.hardSwish,
  hardSigmoid(),
  functions.mish,
  functions.softplus,
  functions.softsign,
  functions.sigmoid,
];

/** Steps of the longest of them, and of the longest that takes its value once. */
const MOST_STEPS = 12;
const FEW_STEPS = 5;
const SAMPLES = [-7.1, -3.3, -2.4, -1.1, -0.4, 0, 0.3, 0.9, 1.7, 2.6, 3.2, 4.4, 8];

const isClose = (a: number, b: number, tolerance: number) =>
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));

/** Whether a node's step can be taken on the host: a function of elements and single numbers, or a mean of rows. */
function isStep(node: GraphNode, { shape }: Around): boolean {
  const { each, mean } = node.traits;
  if (each) return Object.values(node.parameters).every((p) => p.shape.every((n) => n === 1));
  const input = shape(node.inputs[0]!);
  const axes = mean?.(input);
  return axes?.join() === String(input.length - 1) && shape(node.name).length === input.length;
}

/** Every set of steps that leads from one value to a node, by that value, shortest first. */
function* regions(last: GraphNode, around: Around): Generator<{ from: string; steps: readonly GraphNode[] }> {
  const steps = new Map<string, GraphNode>([[last.name, last]]);
  const taken = new Map<string, number>();
  const open: string[] = [];
  const take = (node: GraphNode) => {
    for (const [i, input] of node.inputs.entries()) {
      taken.set(input, (taken.get(input) ?? 0) + 1);
      if (!open.includes(input) && !steps.has(input)) open.push(input);
      if (around.before(node, i) === undefined && !open.includes(input)) open.push(input);
    }
  };
  take(last);
  while (steps.size <= MOST_STEPS) {
    const [from, ...others] = open;
    // Only what takes its value twice (x times something of x) has more steps than a few.
    const isShort = steps.size <= FEW_STEPS || taken.get(from!)! > 1;
    if (others.length === 0 && steps.size > 1 && isShort) yield { from: from!, steps: [...steps.values()] };
    // A value that nobody else takes lies inside; what others take too can only be where the region begins.
    const inside = open.find((name) => {
      const giver = givers(name, steps, around);
      return giver && around.uses(name) === taken.get(name) && isStep(giver, around);
    });
    if (inside === undefined) return;
    open.splice(open.indexOf(inside), 1);
    const node = givers(inside, steps, around)!;
    steps.set(inside, node);
    take(node);
  }
}

/** The node that gives a value which one of the steps takes. */
function givers(
  name: string,
  steps: ReadonlyMap<string, GraphNode>,
  { before }: Around,
): GraphNode | undefined {
  for (const node of steps.values()) {
    const i = node.inputs.indexOf(name);
    if (i >= 0) return before(node, i);
  }
  return undefined;
}

/** What steps make of a row of numbers. */
function outcome(
  { from, steps }: { from: string; steps: readonly GraphNode[] },
  row: readonly number[],
  { numbers }: Around,
): readonly number[] {
  const byName = new Map(steps.map((node) => [node.name, node]));
  const values = new Map<string, readonly number[]>([[from, row]]);
  const value = (name: string): readonly number[] => {
    const found = values.get(name);
    if (found) return found;
    const node = byName.get(name)!;
    const inputs = node.inputs.map(value);
    const { each } = node.traits;
    const single = eachParameter(node, (parameter) => numbers(parameter).data[0]!);
    const length = Math.max(...inputs.map((one) => one.length));
    const result = each
      ? Array.from({ length }, (_, i) =>
          each(
            inputs.map((one) => one[one.length === 1 ? 0 : i]!),
            single,
          ),
        )
      : [inputs[0]!.reduce((sum, n) => sum + n, 0) / inputs[0]!.length];
    values.set(name, result);
    return result;
  };
  return value(steps[0]!.name);
}

const sameShape = (a: Shape, b: Shape) => a.join() === b.join();

/** Steps that compute a known function are that function: GELU, SiLU, hard-swish, … */
export const composedFunction: Rewrite = (node, around) => {
  if (!node.traits.each || !isStep(node, around)) return undefined;
  for (const region of regions(node, around)) {
    if (region.steps.some(({ traits }) => !traits.each)) return undefined;
    if (!sameShape(around.shape(region.from), around.shape(node.name))) continue;
    // Two samples rule out most.
    const recognised = [SAMPLES.slice(0, 2), SAMPLES].reduce((left: readonly ElementFunction[], samples) => {
      const found = left.length > 0 ? outcome(region, samples, around) : [];
      return left.filter(({ host }) => samples.every((x, i) => isClose(found[i]!, host(x), 2e-6)));
    }, KNOWN)[0];
    if (recognised) return [layers.applied(recognised, node.name, region.from)];
  }
  return undefined;
};

/** Rows of different deviations. */
const ROWS = [
  [0.5, -1.5, 2, 0.25, 3],
  [0.02, -0.01, 0.03, 0.05, -0.04],
  [-20, 31, 4, 9, 55],
];

const standardised = (row: readonly number[], epsilon: number): number[] => {
  const mean = row.reduce((sum, n) => sum + n, 0) / row.length;
  const variance = row.reduce((sum, n) => sum + (n - mean) ** 2, 0) / row.length;
  return row.map((n) => (n - mean) / Math.sqrt(variance + epsilon));
};

/** The smallest epsilon, by what it does to the row of the smallest deviation. */
function epsilonOf(row: readonly number[], result: readonly number[]): number {
  const [plain] = standardised(row, 0);
  const variance = ((row[0]! - row.reduce((sum, n) => sum + n, 0) / row.length) / plain!) ** 2;
  return variance * ((plain! / result[0]!) ** 2 - 1);
}

/** Steps that subtract a row's mean and divide by its deviation are layer normalisation (Ba 2016). */
export const composedNorm: Rewrite = (node, around) => {
  if (!node.traits.each || !isStep(node, around)) return undefined;
  for (const region of regions(node, around)) {
    if (region.steps.every(({ traits }) => traits.each !== undefined)) continue;
    const shape = around.shape(node.name);
    if (!sameShape(around.shape(region.from), shape)) continue;
    const results = ROWS.map((row) => outcome(region, row, around));
    const epsilon = Number(epsilonOf(ROWS[1]!, results[1]!).toPrecision(6));
    const fits = ROWS.every((row, i) =>
      standardised(row, epsilon).every((n, k) => isClose(results[i]![k]!, n, 1e-5)),
    );
    if (!fits || !(epsilon >= 0)) continue;
    const width = shape.at(-1)!;
    const norm = layers.layerNorm(node.name, region.from, width, epsilon);
    const filled = (short: 'weight' | 'bias', n: number) =>
      around.store(norm.parameters[short]!.key, { shape: [width], data: new Float32Array(width).fill(n) });
    return [{ ...norm, parameters: { weight: filled('weight', 1), bias: filled('bias', 0) } }];
  }
  return undefined;
};
