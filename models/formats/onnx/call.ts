// What an operator's builder is given: one node of the file with its inputs as values, and the means to compute with
// them. A value is a constant, which is there when the file is read, or computed by a node of Limelight's graph.

import type { Tensor } from '../../../engine/index.ts';
import type { GraphNode, Traits } from '../../graph.ts';
import type { ElementFunction } from '../../layers/functions.ts';
import type { Constant, NumberType } from '../constant.ts';
import { FormatError } from '../errors.ts';
import type { AttributeProto, GraphProto, NodeProto } from './messages.ts';

/** A value that a node of the graph computes; on the device every number is a float32. */
export interface Computed {
  readonly type: NumberType;
  /** For the example input. */
  readonly shape: readonly number[];
  /** For twice its batch: tells which axis holds the batch. */
  readonly twice: readonly number[];
  /** Where that axis holds something else too: how much of it stands before the batch in memory; otherwise 1. */
  readonly before: number;
  /** The node's name. */
  readonly node: string;
}

export type Value = Constant | Computed;

export const isConstant = (value: Value): value is Constant => 'data' in value;

/** The traits of a product: whether both of its factors are computed. */
export const productOf = (a: Value, b: Value): Traits =>
  isConstant(a) || isConstant(b) ? {} : { products: true };

/** The axis that grows with the batch; -1 where none does. */
export const batchAxisOf = ({ shape, twice }: Pick<Computed, 'shape' | 'twice'>): number =>
  shape.findIndex((n, axis) => n !== twice[axis]);

/** One computation: folded where every operand is constant and there is a way to, otherwise a node of the graph. */
export interface Step {
  readonly kind: string;
  /** By role; a constant becomes the node's parameter of that name. */
  readonly operands: Readonly<Record<string, Value | undefined>>;
  /** Computes the step on the device, from the operands in their order; an operand that is left out is undefined. */
  readonly device: (...tensors: Tensor[]) => Tensor;
  /** Computes it on the host, where all operands are constant. */
  readonly fold?: (...constants: Constant[]) => Constant;
  /** Where it is a function of each element of the operands, broadcast: in place of `fold`, and of the trait. */
  readonly each?: (...numbers: number[]) => number;
  /** What the result's numbers mean; as the first operand's when left out. */
  readonly type?: NumberType;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly traits?: Traits;
  /** `before` of the result, where the step changes it. */
  readonly before?: number;
  /** Tells several nodes of one ONNX node apart. */
  readonly part?: string | number;
}

export interface Call {
  readonly operator: string;
  /** Version of the operator set that the file is written in. */
  readonly opset: number;
  /** The batch that the file is read with. */
  readonly batch: number;
  readonly outputs: number;
  /** Whether the file names the output. */
  wants(output: number): boolean;
  /** An input that must be there. */
  input(index: number): Value;
  optional(index: number): Value | undefined;
  readonly inputs: readonly (Value | undefined)[];
  /** An input that must be a constant, if it is there. */
  constant(index: number): Constant | undefined;
  int(name: string, otherwise: number): number;
  float(name: string, otherwise: number): number;
  text(name: string, otherwise: string): string;
  ints(name: string): readonly number[] | undefined;
  floats(name: string): readonly number[] | undefined;
  /** An attribute as the file has it. */
  attribute(name: string): AttributeProto | undefined;
  apply(step: Step): Value;
  /** A constant computed from others. */
  fold(f: () => Constant, ...from: readonly Constant[]): Constant;
  /** Counts numbers that are made on the way, so that no file asks for the world. */
  charge(count: number): void;
  /** A layer of `layers.ts`, with constants for parameters, by their names there. */
  layer(
    inputs: readonly Computed[],
    parameters: Readonly<Record<string, Constant | undefined>>,
    make: (name: string, ...inputs: string[]) => GraphNode,
  ): Value;
  /** The outputs of a graph inside the node, which sees the values around it; what it names itself is gone afterwards. */
  walk(graph: GraphProto): readonly Value[];
  /** A call of the same node for a part of its work, whose nodes carry a name of their own, with other inputs. */
  part(name: string, ...inputs: readonly (Value | undefined)[]): Call;
  /** A tensor attribute's value. */
  tensor(name: string): Constant | undefined;
}

/** Makes an ONNX node's outputs. */
export type Builder = (call: Call) => Value | readonly Value[];

/** The reading half of a call; in a function's body an attribute may stand for one of the function's call. */
export function attributesOf(node: NodeProto, around: NodeProto['attributes'] = []) {
  const find = (list: NodeProto['attributes'], name: string) => list.find((one) => one.name === name);
  const attribute = (name: string) => {
    const found = find(node.attributes, name);
    return found && found.reference !== '' ? find(around, found.reference) : found;
  };
  return {
    attribute,
    all: node.attributes.flatMap(({ name }) => {
      const found = attribute(name);
      return found ? [{ ...found, name }] : [];
    }),
    int: (name: string, otherwise: number) => attribute(name)?.int ?? otherwise,
    float: (name: string, otherwise: number) => attribute(name)?.float ?? otherwise,
    text: (name: string, otherwise: string) => attribute(name)?.text ?? otherwise,
    ints: (name: string) => attribute(name)?.ints,
    floats: (name: string) => attribute(name)?.floats,
  };
}

/** The call itself with other inputs: its last node has its name. */
export const withInputs = (call: Call, ...inputs: readonly (Value | undefined)[]): Call => {
  const { input, optional, constant } = call.part('', ...inputs);
  return { ...call, inputs, input, optional, constant };
};

/** A function of each element. */
export const element = (
  call: Call,
  { kind, device, host, attributes, traits }: ElementFunction,
  x: Value = call.input(0),
): Value => call.apply({ kind, operands: { x }, device: (t) => device(t!), each: host, attributes, traits });

/** An entry of a table by a name that the file gives. */
export function choose<T>(table: Readonly<Record<string, T>>, what: string, name: string): T {
  if (Object.hasOwn(table, name)) return table[name]!;
  throw new FormatError(
    `its ${what} "${name}" is not supported; supported are ${Object.keys(table).join(', ')}`,
  );
}

/** Numbers as the file gives them: as a constant input or, in old files, as an attribute. */
export const listOf = (call: Call, input: number, attribute: string): readonly number[] | undefined => {
  const given = call.constant(input);
  return given ? Array.from(given.data) : call.ints(attribute);
};
