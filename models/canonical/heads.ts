// Rewrites of the layers that classifiers end with, so that a head is recognised however it was written.

import { transpose } from '../formats/constant.ts';
import type { GraphNode } from '../graph.ts';
import * as layers from '../layers.ts';
import type { Around, Rewrite } from './rewrite.ts';

/** Layers that stand as they are meant to. */
const settled = new WeakSet<GraphNode>();
const settle = (node: GraphNode): readonly GraphNode[] => {
  settled.add(node);
  return [node];
};

/** Layers of the longest way to write a mean over a map. */
const MOST_STEPS = 8;

/**
 * The mean that a node takes, told of a value as far before it as only means, transpositions and views that merge the axes
 * of space lie between.
 */
function meanOf(
  node: GraphNode,
  { shape, before, isOnly }: Around,
): { of: string; axes: readonly number[] } | undefined {
  let of = node.inputs[0]!;
  let axes = node.traits.mean?.(shape(of));
  if (axes === undefined) return undefined;
  const keeps = shape(node.name).length === shape(of).length;
  let at = before(node);
  for (let step = 0; step < MOST_STEPS && at !== undefined && isOnly(at); step++, at = before(at)) {
    const [from, to] = [shape(at.inputs[0]!), shape(of)];
    const { order, view, mean } = at.traits;
    const inner = mean?.(from);
    if (order && !keeps) {
      const left = order.filter((_, i) => !axes!.includes(i));
      // What is left must come in the order in which it was.
      if (!left.every((axis, i) => i === 0 || axis > left[i - 1]!)) break;
      axes = axes.map((axis) => order[axis]!);
    } else if (view && from.length === 4 && to.length === 3 && axes.join() === '2' && from[1] === to[1]) {
      // [N, C, h, w] as [N, C, h w].
      axes = [2, 3];
    } else if (inner) {
      const left = from.flatMap((_, axis) => (inner.includes(axis) ? [] : [axis]));
      const outer: readonly number[] = to.length === from.length ? axes : axes.map((axis) => left[axis]!);
      axes = [...new Set([...inner, ...outer])];
    } else break;
    of = at.inputs[0]!;
  }
  return { of, axes: [...axes].sort((a, b) => a - b) };
}

/** A mean over both axes of every plane is global average pooling, however many steps it takes. */
export const globalPooling: Rewrite = (node, around) => {
  if (settled.has(node)) return undefined;
  const mean = meanOf(node, around);
  const end = around.shape(node.name);
  if (mean === undefined || mean.axes.join() !== '2,3' || around.shape(mean.of).length !== 4)
    return undefined;
  const keeps = end.length === 4;
  return keeps || end.length === 2 ? settle(layers.globalAvgPool(node.name, mean.of, keeps)) : undefined;
};

/** A 1x1 convolution of one pixel is a linear layer, of which classifiers are made. */
export const pixelConvolution: Rewrite = (node, { shape, numbers, isOwn, store }) => {
  const { weight, bias } = node.parameters;
  const [, , height, width] = shape(node.inputs[0]!);
  if (!node.traits.weighted?.pointwise || height !== 1 || width !== 1 || !isOwn(weight!.key))
    return undefined;
  const [out, inputs] = weight!.shape as [number, number];
  const row = layers.flatten(`${node.name}/flatten`, node.inputs[0]!);
  const linear = layers.linear(`${node.name}/linear`, row.name, {
    in: inputs,
    out,
    bias: bias !== undefined,
  });
  const matrix = store(weight!.key, { shape: [out, inputs], data: numbers(weight!).data });
  const parameters = { weight: matrix, ...(bias && { bias }) };
  return [row, { ...linear, parameters }, layers.asPixel(node.name, linear.name)];
};

/** What a node does to its one input with its one parameter: adds it, multiplies by it, or something else. */
function withParameter(node: GraphNode): { role: string; does: 'adds' | 'multiplies' } | undefined {
  const [role, ...others] = Object.keys(node.parameters);
  const { each } = node.traits;
  if (!each || role === undefined || others.length > 0 || node.inputs.length !== 1) return undefined;
  const tries = [
    [2, 3],
    [-1.5, 4],
    [0.25, -6],
  ] as const;
  const is = (f: (x: number, p: number) => number) =>
    tries.every(([x, p]) => each([x], { [role]: p }) === f(x, p));
  if (is((x, p) => x + p)) return { role, does: 'adds' };
  return is((x, p) => x * p) ? { role, does: 'multiplies' } : undefined;
}

/** Whether a parameter has one number for each place along an axis of a value. */
const liesAlong = (shape: readonly number[], value: readonly number[], axis: number): boolean => {
  const lead = value.length - shape.length;
  return shape.length <= value.length && shape.every((n, i) => n === (i + lead === axis ? value[axis] : 1));
};

/** A product with weights and the addition of a bias behind it are one layer. */
export const bias: Rewrite = (node, { shape, before, isOnly, numbers, store, isOwn }) => {
  const product = before(node);
  const found = withParameter(node);
  if (found?.does !== 'adds' || !product?.traits.weighted || !isOnly(product)) return undefined;
  const { weight, bias: first } = product.parameters;
  const added = node.parameters[found.role]!;
  const end = shape(node.name);
  const channels = weight!.shape.length === 2 ? end.length - 1 : 1;
  if (first !== undefined || !isOwn(added.key) || !liesAlong(added.shape, end, channels)) return undefined;
  if (added.shape.reduce((a, b) => a * b, 1) !== end[channels]) return undefined;
  const row = store(added.key, { shape: [end[channels]!], data: numbers(added).data });
  return [{ ...product, name: node.name, parameters: { weight: weight!, bias: row } }];
};

/** Numbers by which a normalisation's result is multiplied, or that are added to it, are its weight and bias. */
export const normScale: Rewrite = (node, { shape, before, isOnly, numbers, store }) => {
  const norm = before(node);
  const found = withParameter(node);
  if (!found || !norm?.traits.scaled || !isOnly(norm)) return undefined;
  const end = shape(node.name);
  const parameter = node.parameters[found.role]!;
  const { weight, bias: shift } = norm.parameters;
  if (!liesAlong(parameter.shape, end, end.length - 1)) return undefined;
  const { data } = numbers(parameter);
  const change = (before: Float32Array) =>
    before.map((n, i) => (found.does === 'adds' ? n + data[i]! : n * data[i]!));
  const changed = (short: 'weight' | 'bias', before: typeof weight) =>
    store(`${node.name}.${short}`, { shape: before!.shape, data: change(numbers(before!).data) });
  const parameters = {
    weight: found.does === 'adds' ? weight! : changed('weight', weight),
    bias: changed('bias', shift),
  };
  return [{ ...norm, name: node.name, parameters }];
};

/**
 * A linear layer behind a map that is flattened channels last, as TensorFlow does, takes it channels first, its weights in
 * that order: nothing is moved, and the features of a channel lie side by side.
 */
export const featureOrder: Rewrite = (node, { shape, before, isOnly, numbers, store, isOwn }) => {
  const rows = before(node);
  const turned = rows && before(rows);
  const order = turned?.traits.order;
  const { weight } = node.parameters;
  if (!node.traits.weighted || weight?.shape.length !== 2 || !rows?.traits.view || !isOnly(rows))
    return undefined;
  const end = shape(rows.name);
  if (!order || !isOnly(turned) || order[0] !== 0 || end.length !== 2 || end[0] !== 2 || !isOwn(weight.key))
    return undefined;
  const sizes = shape(turned.name).slice(1);
  const inverse = order.slice(1).map((_, axis) => order.indexOf(axis + 1));
  const from = { type: 'float', shape: [weight.shape[0]!, ...sizes], data: numbers(weight).data } as const;
  const data = transpose(from, [0, ...inverse]).data as Float32Array;
  const flat = layers.flatten(rows.name, turned.inputs[0]!);
  const parameters = { ...node.parameters, weight: store(weight.key, { shape: weight.shape, data }) };
  return [
    { ...flat, name: `${rows.name}/first` },
    { ...node, inputs: [`${rows.name}/first`], parameters },
  ];
};
