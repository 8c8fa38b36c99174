// What may follow a convolution or a linear layer within its kernel: a bias, a summand, an activation.

import type { BiasAlong, Epilogue } from '../../kernels/kernel.ts';
import { ShapeError } from '../errors.ts';
import type { Storage } from '../memory.ts';
import { apply, type Operation, type Place } from '../operation.ts';
import { placesByElement } from '../places.ts';
import { checkDevices, type Shape, sameShape, show, type Tensor } from '../tensor.ts';
import { add, clamp, clampGradient } from './elementwise.ts';
import { reshape, sumTo } from './linear.ts';

/** What may follow at once; each is a clamp. */
export type Activation = 'relu' | 'relu6';

const ranges: Readonly<Record<Activation, readonly [low: number, high: number]>> = {
  relu: [0, Number.POSITIVE_INFINITY],
  relu6: [0, 6],
};

/** What follows, in this order: a bias, one number a channel, is added, a tensor is added, an activation applied. */
export interface Following {
  readonly bias?: Tensor | undefined;
  readonly summand?: Tensor | undefined;
  readonly activation?: Activation | undefined;
  /** Where the result is written; see `sideBySide`. */
  readonly place?: Place | undefined;
}

/** The same as a plan wants it: what is added, by the names of its buffers. */
export interface StoredEpilogue {
  readonly addends: { readonly bias?: Storage; readonly summand?: Storage };
  readonly clamp?: readonly [low: number, high: number];
}

export const NO_ADDENDS: StoredEpilogue = { addends: {} };

/** The same as a kernel wants it, its bias along the rows or the columns of a product. */
export const described = ({ addends, clamp }: StoredEpilogue, along: BiasAlong): Epilogue => ({
  bias: addends.bias !== undefined && along,
  summand: addends.summand !== undefined,
  ...(clamp && { clamp }),
});

/** y plus a bias for the channels along one of its axes. */
export function addBias(y: Tensor, bias: Tensor, axis = 1): Tensor {
  checkDevices('bias', [y, bias]);
  checkBias(bias, y.shape, axis);
  return add(y, reshape(bias, broadcastable(bias, y, axis)));
}

/** The shape in which a bias is broadcast to `y`. */
const broadcastable = (bias: Tensor, y: Tensor, axis: number): Shape => [
  bias.size,
  ...y.shape.slice(axis + 1).map(() => 1),
];

function checkBias({ shape }: Tensor, y: readonly number[], axis: number): void {
  if (shape.length !== 1 || shape[0] !== y[axis]) {
    throw new ShapeError(`bias: ${show(shape)} for ${y[axis]} channels of ${show(y)}`);
  }
}

interface Fused<Attributes> {
  readonly inner: Attributes;
  readonly biased: boolean;
  readonly activation: Activation | undefined;
}

/**
 * An operation on two tensors with what follows it, its channels along `axis`: by `launch` in one kernel where a summand
 * has the result's shape, else one after the other. The operation's own derivative must not ask for its result, which is
 * not kept.
 */
export function followed<A>(
  operation: Operation<A>,
  axis: number,
  launch: (inputs: readonly Tensor[], y: Tensor, attributes: A, epilogue: StoredEpilogue) => void,
) {
  const fused: Operation<Fused<A>> = {
    name: operation.name,
    shape: (inputs, { inner }) => operation.shape(inputs, inner),
    forward: ([a, b, ...others], y, { inner, biased, activation }) => {
      const [bias, summand] = biased ? others : [undefined, ...others];
      launch([a!, b!], y, inner, {
        addends: { ...(bias && { bias: bias.storage }), ...(summand && { summand: summand.storage }) },
        ...(activation && { clamp: ranges[activation] }),
      });
    },
    vjp: (d, { inputs: [a, b, ...others], output, needs, attributes: { inner, biased, activation } }) => {
      const sum = activation === undefined ? d : clampGradient(d, output, ...ranges[activation]);
      const factors = operation.vjp!(sum, { inputs: [a!, b!], output, needs, attributes: inner });
      const added = others.map((other, i) => {
        if (!needs[2 + i]) return undefined;
        return biased && i === 0 ? reshape(sumTo(sum, broadcastable(other, sum, axis)), other.shape) : sum;
      });
      return [...factors, ...added];
    },
    places: ([a, b, ...others], shape, { inner, biased }, tensors) => {
      const result = operation.places!([a, b], shape, inner, tensors.slice(0, 2));
      return placesByElement([result, ...others.slice(Number(biased))], shape);
    },
    affine: ([a, b], { inner, activation }) => activation === undefined && operation.affine!([a!, b!], inner),
    piecewise: ([a, b], { inner }) => operation.affine!([a!, b!], inner),
    multiplyAdds: (inputs, shape, { inner }) => operation.multiplyAdds!(inputs.slice(0, 2), shape, inner),
  };
  return (a: Tensor, b: Tensor, inner: A, { bias, summand, activation, place }: Following): Tensor => {
    const others = [bias, summand].filter((other) => other !== undefined);
    checkDevices(operation.name, [a, b, ...others]);
    const shape = operation.shape([a, b], inner);
    if (bias !== undefined) checkBias(bias, shape, axis);
    if (summand === undefined || sameShape(summand.shape, shape))
      return apply(fused, [a, b, ...others], { inner, biased: bias !== undefined, activation }, place);
    const y = apply(operation, [a, b], inner);
    return follow(bias === undefined ? y : addBias(y, bias, axis), { summand, activation });
  };
}

/** A summand and an activation by operations of their own. */
export function follow(y: Tensor, { summand, activation }: Omit<Following, 'bias' | 'place'>): Tensor {
  const z = summand === undefined ? y : add(y, summand);
  return activation === undefined ? z : clamp(z, ...ranges[activation]);
}
