// What a row of the layer table is given: its layer's configuration, checked as it is read; the values it takes; and the
// file's weights, brought from TensorFlow's layouts into Limelight's.

import type { Shape } from '../../../engine/index.ts';
import type { GraphNode } from '../../graph.ts';
import { transpose } from '../constant.ts';
import { FormatError } from '../errors.ts';
import type { HostTensor } from '../host-tensor.ts';
import { field, isObject, type Json, quote } from '../json.ts';

/** A value of the graph: the node that gives it, and its shape in Limelight's layout. */
export interface Value {
  readonly node: string;
  readonly shape: Shape;
}

/** A weight as the file holds it, read when a layer asks for it. */
export interface StoredWeight {
  readonly shape: readonly number[];
  readonly read: () => Float32Array;
}

/** A number, or one a channel, that a call gives an operation together with a value. */
export interface Operand {
  readonly numbers: readonly number[];
  /** Whether it stands before the value: 1 - x. */
  readonly first: boolean;
}

export interface LayerContext {
  /** The layer's name, which its last node carries. */
  readonly name: string;
  readonly config: Json;
  readonly inputs: readonly Value[];
  readonly operand: Operand | undefined;
  /** 2 or 3: a few functions changed their meaning. */
  readonly kerasVersion: number;
  /**
   * A weight by its Keras names, of which one is there, checked against its Keras shape. Undefined, and noted, where
   * the file lacks it or it is of another shape.
   */
  readonly weight: (names: readonly string[], shape: readonly number[]) => HostTensor | undefined;
  /** Gives a node's parameter its numbers. */
  readonly set: (key: string, tensor: HostTensor) => void;
  /** The same for numbers that the file does not hold one by one, [size]. */
  readonly setConstant: (key: string, size: number, value: (i: number) => number) => void;
}

/** One row: the nodes that compute a layer; the last one gives its output. */
export type LayerRow = (layer: LayerContext) => readonly GraphNode[];

const refuse = (key: string, value: unknown, expected: string): never => {
  throw new FormatError(`${key} is ${quote(value)}; expected ${expected}`);
};

/** Larger sizes than this are no network's. */
const MAX_SIZE = 1 << 24;

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_SIZE;

export function count(config: Json, key: string, otherwise?: number): number {
  const value = field(config, key) ?? otherwise;
  return isCount(value) ? value : refuse(key, value, `a whole number from 1 to ${MAX_SIZE}`);
}

/** One size for both axes, or [y, x]. */
export function pair(config: Json, key: string, otherwise?: number): readonly [number, number] {
  const value = field(config, key) ?? otherwise;
  const both = Array.isArray(value) ? value : [value, value];
  return both.length === 2 && both.every(isCount)
    ? [both[0], both[1]]
    : refuse(key, value, `one or two whole numbers from 1 to ${MAX_SIZE}`);
}

/** One number for all sides, one for each axis, or [[top, bottom], [left, right]], as [top, left, bottom, right]. */
export function sides(config: Json, key: string): readonly [number, number, number, number] {
  const value = field(config, key) ?? 1;
  const axes = Array.isArray(value) ? value : [value, value];
  const both = axes.map((axis) => (Array.isArray(axis) ? axis : [axis, axis]));
  const fits =
    both.length === 2 && both.every((axis) => axis.length === 2 && axis.every((n) => n === 0 || isCount(n)));
  if (!fits) return refuse(key, value, 'counts for both axes or all four sides');
  const [[top, bottom], [left, right]] = both as [[number, number], [number, number]];
  return [top, left, bottom, right];
}

export function number(config: Json, key: string, otherwise: number): number {
  const value = field(config, key) ?? otherwise;
  return Number.isFinite(value) ? (value as number) : refuse(key, value, 'a number');
}

/** A number, or numbers however nested, in order; undefined where there is none. */
export function numbers(config: Json, key: string): readonly number[] | undefined {
  const value = field(config, key) ?? undefined;
  if (value === undefined) return undefined;
  const flat = Array.isArray(value) ? value.flat(4) : [value];
  return flat.every(Number.isFinite) ? flat : refuse(key, value, 'numbers');
}

export function flag(config: Json, key: string, otherwise: boolean): boolean {
  const value = field(config, key) ?? otherwise;
  return typeof value === 'boolean' ? value : refuse(key, value, 'true or false');
}

/** One of a few words. */
export function choice<T extends string>(config: Json, key: string, words: readonly T[], otherwise: T): T {
  const value = field(config, key) ?? otherwise;
  return words.find((word) => word === value) ?? refuse(key, value, words.map(quote).join(' or '));
}

/** Refuses settings that the row does not compute, unless they have the value that means nothing. */
export function expectOnly(config: Json, settings: Readonly<Record<string, readonly unknown[]>>): void {
  for (const [key, harmless] of Object.entries(settings)) {
    const value = field(config, key);
    const said = JSON.stringify(value ?? null);
    if (harmless.every((one) => JSON.stringify(one) !== said))
      refuse(key, value, harmless.map(quote).join(' or '));
  }
}

/** An axis of a Keras value of some rank as an axis of Limelight's: [N, H, W, C] is kept as [N, C, H, W]. */
export function axisOf(axis: unknown, rank: number): number {
  const one = Array.isArray(axis) && axis.length === 1 ? axis[0] : axis;
  const found = Number.isSafeInteger(one) ? ((one as number) < 0 ? one + rank : one) : -1;
  if (found < 0 || found >= rank) return refuse('axis', axis, `an axis of a value of rank ${rank}`);
  return rank === 4 ? [0, 2, 3, 1][found]! : found;
}

/** The input's shape [N, C, H, W]; other ranks are refused. */
export function imageShape({ node, shape }: Value): readonly [number, number, number, number] {
  if (shape.length === 4) return shape as [number, number, number, number];
  throw new FormatError(`it takes a feature map, but "${node}" gives [${shape.join(', ')}]`);
}

/** A setting that is text or an object with a class and settings of its own. */
export function classAndConfig(value: unknown): { className: string; config: Json } {
  if (typeof value === 'string') return { className: value, config: {} };
  if (!isObject(value)) return refuse('activation', value, 'a name or an object with class_name and config');
  const [className, config] = [field(value, 'class_name'), field(value, 'config')];
  // Keras 3 writes a function as {class_name: "function", config: its name}.
  if (typeof config === 'string') return { className: config, config: {} };
  if (typeof className === 'string' && isObject(config ?? {}))
    return { className, config: (config ?? {}) as Json };
  return refuse('activation', value, 'a name or an object with class_name and config');
}

/** The single input; layers that merge take several. */
export function only({ inputs }: LayerContext): Value {
  if (inputs.length === 1) return inputs[0]!;
  throw new FormatError(`it takes one value and is given ${inputs.length}`);
}

/** A shape as Keras has it. */
export const kerasShape = (shape: Shape): Shape =>
  shape.length === 4 ? [shape[0]!, shape[2]!, shape[3]!, shape[1]!] : shape;

/** Gives a node's parameter a weight of the file, by its Keras names and its Keras shape, with its axes in another order. */
export function setWeight(
  c: LayerContext,
  node: GraphNode,
  short: string,
  names: readonly string[],
  kerasShape: readonly number[],
  order?: readonly number[],
): void {
  const { key, shape } = node.parameters[short]!;
  const weight = c.weight(names, kerasShape);
  if (weight === undefined) return;
  const { data } = order ? transpose({ type: 'float', ...weight }, order) : weight;
  c.set(key, { shape, data: data as Float32Array });
}
