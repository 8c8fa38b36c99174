// Activations as layers.

import * as ops from '../../engine/index.ts';
import type { GraphNode } from '../graph.ts';
import { type ElementFunction, functions, hardSigmoid as hardSigmoidOf } from './functions.ts';
import { plain } from './node.ts';

/** A function as a layer. */
export const applied = (
  { kind, device, attributes, traits }: ElementFunction,
  name: string,
  input: string,
): GraphNode => plain(name, kind, [input], device, attributes, traits);

/** An activation's node: every function below that takes a name and an input. */
export type Activation = (name: string, input: string) => GraphNode;

const layer =
  (one: ElementFunction): Activation =>
  (name, input) =>
    applied(one, name, input);

export const relu = layer(functions.relu);
export const relu6 = layer(functions.relu6);
export const gelu = layer(functions.gelu);
export const sigmoid = layer(functions.sigmoid);
export const hardSigmoid = layer(hardSigmoidOf());
export const hardSwish = layer(functions.hardSwish);
export const silu = layer(functions.silu);
export const tanh = layer(functions.tanh);

/** Along one axis. */
export const softmax = (name: string, input: string, axis: number): GraphNode =>
  plain(
    name,
    'softmax',
    [input],
    (x) => ops.softmax(x, axis),
    { axis },
    { nonNegative: true, gives: 'softmax' },
  );

/** Its logarithm, computed in one. */
export const logSoftmax = (name: string, input: string, axis: number): GraphNode =>
  plain(name, 'logSoftmax', [input], (x) => ops.logSoftmax(x, axis), { axis }, { gives: 'softmax' });
