// What importers have in common: shapes found without computing, SAME padding, axes, names, and what an output needs.

import { type Device, dryDevice, placeholder, type Shape, scope } from '../../engine/index.ts';
import { eachParameter, type GraphNode } from '../graph.ts';
import type { Pair, Sides, SizedPadding } from '../layers.ts';
import { FormatError } from './errors.ts';

/** The shape that a node gives for inputs of some shapes; nothing is computed. */
export function shapeOfNode(device: Device, node: GraphNode, inputs: readonly Shape[]): Shape {
  return scope(() => {
    const parameters = eachParameter(node, ({ shape }) => placeholder(device, shape));
    const given = inputs.map((shape) => placeholder(device, shape));
    return node.run(given, { parameters }).shape;
  });
}

/** A window's geometry along y and x. */
export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
}

/** A total for each axis as sides; of an odd number the larger half comes last. */
export function halves([y, x]: Pair): Sides {
  return [Math.trunc(y / 2), Math.trunc(x / 2), y - Math.trunc(y / 2), x - Math.trunc(x / 2)];
}

/** Sides with first and last exchanged. */
export const turned = ([top, left, bottom, right]: Sides): Sides => [bottom, right, top, left];

/**
 * SAME padding: as much as gives ceil(size / stride) windows; of an odd number the larger half comes last, or first
 * where it is asked for. https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
 */
export function samePadding({ kernel, stride, dilation }: Window, largerFirst = false): SizedPadding {
  const of = (size: Pair): Sides => {
    const total = (axis: 0 | 1) => {
      const reach = dilation[axis] * (kernel[axis] - 1) + 1;
      const windows = Math.ceil(size[axis] / stride[axis]);
      return Math.max((windows - 1) * stride[axis] + reach - size[axis], 0);
    };
    const sides = halves([total(0), total(1)]);
    return largerFirst ? turned(sides) : sides;
  };
  return { of, shown: 'same' };
}

/** A checked axis; negative ones count from the end. */
export function axisOf(axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(axis) && found >= 0 && found < rank) return found;
  throw new FormatError(`its axis ${axis} is none of a value of ${rank} axes`);
}

/** Makes names unique by counting on: name, name_2, name_3, … */
export function naming(): (wanted: string) => string {
  const taken = new Map<string, number>();
  return (wanted) => {
    let count = taken.get(wanted) ?? 0;
    let name = wanted;
    while (taken.has(name)) name = `${wanted}_${++count + 1}`;
    taken.set(wanted, count);
    taken.set(name, taken.get(name) ?? 0);
    return name;
  };
}

/** The nodes on which some depend, those included, in order. */
export function dependencies(nodes: readonly GraphNode[], wanted: readonly string[]): GraphNode[] {
  const needed = new Set(wanted);
  const kept = [...nodes].reverse().filter((node) => {
    if (!needed.has(node.name)) return false;
    for (const input of node.inputs) needed.add(input);
    return true;
  });
  return kept.reverse();
}

/**
 * The items that some depend on and these, each after those that it takes; what that leaves open is as in `items`. `refuse`
 * gives the error for a name that nothing gives, or for an item that takes in the end what it gives itself.
 */
export function inOrder<T>(
  items: ReadonlyMap<string, T>,
  inputsOf: (item: T) => readonly string[],
  wanted: Iterable<string>,
  refuse: { readonly missing: (name: string) => Error; readonly circle: (name: string) => Error },
): T[] {
  const done = new Map<string, T>();
  const begun = new Set<string>();
  const waiting = [...wanted].reverse();
  while (waiting.length > 0) {
    const name = waiting.at(-1)!;
    const item = items.get(name);
    if (item === undefined) throw refuse.missing(name);
    const before = inputsOf(item).filter((input) => !done.has(input));
    if (done.has(name) || before.length === 0) {
      done.set(name, item);
      waiting.pop();
    } else if (begun.has(name) && before.some((input) => begun.has(input))) {
      throw refuse.circle(name);
    } else {
      begun.add(name);
      waiting.push(...before.reverse());
    }
  }
  return [...done.values()];
}

/** The shape of every node's value, for inputs of some shapes by their names. */
export function shapesFor(
  nodes: readonly GraphNode[],
  inputs: ReadonlyMap<string, Shape>,
): Map<string, Shape> {
  const device = dryDevice();
  const shapes = new Map(inputs);
  for (const node of nodes) {
    const given = node.inputs.map((name) => shapes.get(name)!);
    shapes.set(node.name, shapeOfNode(device, node, given));
  }
  return shapes;
}

/** The sides of which a row of numbers is a picture. */
const SIDES = { least: 8, most: 2 ** 10 } as const;

/** The side of the square picture that as many numbers, in a row or a square, are; undefined of others. */
export function squareOf(sizes: readonly (number | null | undefined)[]): number | undefined {
  const [first, second = first, ...rest] = sizes;
  if (typeof first !== 'number' || first !== second || rest.length > 0) return undefined;
  const side = sizes.length === 1 ? Math.sqrt(first) : first;
  return Number.isInteger(side) && side >= SIDES.least && side <= SIDES.most ? side : undefined;
}

/** What is said of an input that holds a picture in another shape. */
export const takenAs = (sizes: readonly unknown[], picture: string, size: readonly unknown[]): string =>
  `its input [${sizes.join(', ')}] is taken as ${picture} of ${size.join(' x ')}`;

/** What is said of an input that holds a signal; what the file leaves open is undefined or null. */
export const signalRemark = (sizes: readonly unknown[], channels: number, length: unknown): string =>
  `its input [${sizes.map((n) => n ?? '?').join(', ')}] is taken as a signal: ` +
  `${channels === 1 ? 'one channel' : `${channels} channels`}, ${length ?? 'any number of'} steps`;
