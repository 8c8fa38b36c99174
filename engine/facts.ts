// What a dry run finds out about values in addition to their shapes: where in the picture their elements lie, whether they depend
// on a marked value by an affine function, and how many multiply-adds made them. Operations say how each of these is passed
// on (`Operation`); for layers and whole networks, which are made of operations, nothing more need be said.

import { type MaybePlaces, placesByElement, type Whereabouts } from './places.ts';
import type { Shape, Tensor } from './tensor.ts';

/** How a value depends on the marked ones: affine, affine between kinks, or neither; undefined: not at all. */
export type Dependence = 'affine' | 'piecewise' | 'other' | undefined;

interface Facts {
  readonly where: Whereabouts | undefined;
  readonly dependence: Dependence;
}

const facts = new WeakMap<Tensor, Facts>();

/** How an operation passes facts on. */
export interface Passing<Attributes> {
  /**
   * Places of the result from those of the inputs, along one direction of the picture. When left out: of each element those of the inputs' elements that
   * broadcast to it; all together where the shapes do not broadcast.
   */
  readonly places?: (
    inputs: readonly MaybePlaces[],
    shape: Shape,
    attributes: Attributes,
    tensors: readonly Tensor[],
  ) => MaybePlaces;
  /** Whether the result is affine in the inputs that `depend`, the others being fixed. When left out: it is not. */
  readonly affine?: (depend: readonly boolean[], attributes: Attributes) => boolean;
  /** Likewise, whether it is affine between kinks, as a maximum is. Said where it is not affine. */
  readonly piecewise?: (depend: readonly boolean[], attributes: Attributes) => boolean;
  /** What the literature counts of it: multiplications, each with an addition. */
  readonly multiplyAdds?: (inputs: readonly Tensor[], shape: Shape, attributes: Attributes) => number;
}

/** Affine in all inputs together, as a sum is. */
export const jointly = (): boolean => true;
/** Affine in each input alone, as a product is. */
export const separately = (depend: readonly boolean[]): boolean => depend.filter(Boolean).length <= 1;
/** Affine in the first input alone, as a quotient is. */
export const inFirst = (depend: readonly boolean[]): boolean => !depend.slice(1).includes(true);

let multiplyAdds = 0;

/** A function's result, and the multiply-adds of the operations that it applied on a dry device. */
export function counted<T>(f: () => T): { result: T; multiplyAdds: number } {
  // From 0, since a sum over all that ever ran loses the last digits of what is added.
  const before = multiplyAdds;
  multiplyAdds = 0;
  try {
    const result = f();
    return { result, multiplyAdds };
  } finally {
    multiplyAdds += before;
  }
}

/** Says of a dry tensor where its elements lie, and whether dependence on it is looked for. */
export function mark(x: Tensor, where: Whereabouts | undefined, isVariable: boolean): Tensor {
  facts.set(x, { where, dependence: isVariable ? 'affine' : undefined });
  return x;
}

export const whereaboutsOf = (x: Tensor): Whereabouts | undefined => facts.get(x)?.where;
export const dependenceOf = (x: Tensor): Dependence => facts.get(x)?.dependence;

/** Notes the facts of an operation's result on a dry device. */
export function passOn<A>(
  operation: Passing<A>,
  inputs: readonly Tensor[],
  output: Tensor,
  attributes: A,
): void {
  multiplyAdds += operation.multiplyAdds?.(inputs, output.shape, attributes) ?? 0;
  if (!inputs.some((input) => facts.has(input))) return;
  const where = inputs.map(whereaboutsOf);
  const along = (direction: keyof Whereabouts): MaybePlaces =>
    (operation.places ?? placesByElement)(
      where.map((one) => one?.[direction]),
      output.shape,
      attributes,
      inputs,
    );
  const isOfPicture = where.some((one) => one !== undefined);
  const [rows, columns] = isOfPicture ? [along('rows'), along('columns')] : [];
  const dependences = inputs.map(dependenceOf);
  const depend = dependences.map((dependence) => dependence !== undefined);
  const dependence = (): Dependence => {
    if (dependences.includes('other')) return 'other';
    if (operation.affine?.(depend, attributes))
      return dependences.includes('piecewise') ? 'piecewise' : 'affine';
    return operation.piecewise?.(depend, attributes) ? 'piecewise' : 'other';
  };
  facts.set(output, {
    where: rows && columns && { rows, columns },
    dependence: depend.includes(true) ? dependence() : undefined,
  });
}
