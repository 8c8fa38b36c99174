// Keras's layers that merge values, and arithmetic between layers.

import type { Tensor } from '../../../../engine/index.ts';
import * as ops from '../../../../engine/index.ts';
import * as layers from '../../../layers.ts';
import { FormatError } from '../../errors.ts';
import { field, quote } from '../../json.ts';
import { activation } from '../activations.ts';
import { axisOf, type LayerContext, type LayerRow, number, only } from '../context.ts';
import { scaleShift } from './normalise.ts';

/** Keras puts axes of size 1 behind the batch of values of lower rank: [N, C] meets a feature map as [N, C, 1, 1]. */
function broadcastable({ inputs }: LayerContext): (values: readonly Tensor[]) => readonly Tensor[] {
  const rank = Math.max(...inputs.map(({ shape }) => shape.length));
  const odd = inputs.find(({ shape }) => shape.length !== rank && !(rank === 4 && shape.length === 2));
  if (odd)
    throw new FormatError(`it merges values of ranks ${inputs.map(({ shape }) => shape.length).join(', ')}`);
  return (values) =>
    values.map((x) =>
      x.shape.length === rank ? x : ops.reshape(x, [...x.shape, ...Array<number>(rank - 2).fill(1)]),
    );
}

export const merging =
  (
    kind: string,
    merge: (a: Tensor, b: Tensor) => Tensor,
    finish: (x: Tensor, n: number) => Tensor = (x) => x,
  ): LayerRow =>
  (c) => {
    if (c.inputs.length < 2) throw new FormatError(`it merges values and is given ${c.inputs.length}`);
    const alike = broadcastable(c);
    const names = c.inputs.map(({ node }) => node);
    return [
      layers.plain(c.name, kind, names, (...xs) =>
        finish(
          alike(xs).reduce((a, b) => merge(a, b)),
          xs.length,
        ),
      ),
    ];
  };

type Arithmetic = 'add' | 'sub' | 'mul' | 'div';
/** An operation of a value and a number, or one a channel: x scale + shift. */
type WithNumbers = (n: readonly number[], first: boolean) => readonly [scale: number[], shift: number[]];

const WITH_NUMBERS: Readonly<Record<Arithmetic, WithNumbers>> = {
  add: (n) => [[1], [...n]],
  sub: (n, first) => (first ? [[-1], [...n]] : [[1], n.map((one) => -one)]),
  mul: (n) => [[...n], [0]],
  div: (n, first) => {
    if (first)
      throw new FormatError(
        'it divides a number by a value, which is not supported; a value divided by a number is',
      );
    return [n.map((one) => 1 / one), [0]];
  },
};

/** The merging layers as operations: of two values, or of one and numbers. */
const arithmetic =
  (kind: Arithmetic, merged: LayerRow): LayerRow =>
  (c) => {
    if (c.operand === undefined) return merged(c);
    const { numbers, first } = c.operand;
    return scaleShift(c, kind, ...WITH_NUMBERS[kind](numbers, first));
  };

/** A sum of two feature maps is the layer, into which an activation may be folded. */
const sum: LayerRow = (c) => {
  const [a, b, ...others] = c.inputs;
  const alike = a && b && others.length === 0 && a.shape.join() === b.shape.join();
  return alike ? [layers.add(c.name, a.node, b.node)] : merging('add', ops.add)(c);
};

export const ADD = arithmetic('add', sum);
export const SUBTRACT = arithmetic('sub', merging('sub', ops.sub));
export const MULTIPLY = arithmetic('mul', merging('mul', ops.mul));
export const DIVIDE = arithmetic('div', merging('div', ops.div));

/** a + scale b: of Inception-ResNet. */
export const scaledSum: LayerRow = (c) => {
  const scale = number(c.config, 'scale', 1);
  return merging('add', (a, b) => ops.add(a, ops.scale(b, scale)))(c);
};

export const concatenate: LayerRow = (c) => {
  const [first] = c.inputs;
  if (first === undefined) throw new FormatError('it joins values and is given none of them');
  const axis = axisOf(field(c.config, 'axis') ?? -1, first.shape.length);
  if (axis === 0) throw new FormatError('it joins images of a batch, which stay apart here');
  const names = c.inputs.map(({ node }) => node);
  return [layers.concat(c.name, names, axis)];
};

/** TensorFlow's functions, by the names under which Keras 2 keeps their calls. */
const functions: ReadonlyMap<string, LayerRow> = new Map(
  Object.entries({
    '__operators__.add': ADD,
    'math.add': ADD,
    'nn.bias_add': ADD,
    '__operators__.sub': SUBTRACT,
    'math.subtract': SUBTRACT,
    '__operators__.mul': MULTIPLY,
    'math.multiply': MULTIPLY,
    '__operators__.truediv': DIVIDE,
    'math.truediv': DIVIDE,
    'math.divide': DIVIDE,
    ...Object.fromEntries(
      Object.entries({
        'nn.relu': 'relu',
        'nn.relu6': 'relu6',
        'nn.elu': 'elu',
        'nn.selu': 'selu',
        'nn.silu': 'silu',
        'nn.swish': 'silu',
        'nn.sigmoid': 'sigmoid',
        'math.sigmoid': 'sigmoid',
        'nn.tanh': 'tanh',
        'math.tanh': 'tanh',
        'nn.softplus': 'softplus',
        'math.softplus': 'softplus',
      }).map(([fn, name]): [string, LayerRow] => [
        fn,
        (c) => [activation(c.name, only(c), name, {}, c.kerasVersion)],
      ]),
    ),
  }),
);

/** A call of a TensorFlow function between layers. */
export const tfFunction: LayerRow = (c) => {
  const name = field(c.config, 'function');
  const row = functions.get(name as string);
  if (row) return row(c);
  throw new FormatError(
    `the function ${quote(name)} is not supported; supported are ${[...functions.keys()].join(', ')}`,
  );
};
