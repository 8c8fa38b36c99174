// Writes TensorFlow's operations as ONNX's. Maps are [N, H, W, C] in TensorFlow and [N, C, H, W] in ONNX: of each value is
// known whether it is held with its channels first, and it is turned where an operation takes the other.

import { FormatError } from '../errors.ts';
import { field, isObject, type Json, quote } from '../json.ts';
import {
  type AttributeProto,
  blank,
  type NodeProto,
  type TensorProto,
  type ValueProto,
} from '../onnx/messages.ts';
import type { ManifestWeight } from './manifest.ts';

/** The version of ONNX's operators that is written. */
export const OPSET = 18;

export interface TfNode {
  readonly name: string;
  readonly op: string;
  /** Names of values: "node", or "node:1" for a node's second output. */
  readonly inputs: readonly string[];
  readonly attributes: Json;
}

type Setting = number | string | readonly number[] | { readonly float: number };
export type Settings = Readonly<Record<string, Setting>>;

const FLOAT = 1;
const INT64 = 7;
/** TensorFlow's types of a network's inputs, as ONNX numbers them. */
const INPUT_TYPES: Readonly<Record<string, number>> = {
  DT_FLOAT: FLOAT,
  DT_HALF: FLOAT,
  DT_UINT8: 2,
  DT_INT32: 6,
};

export const TO_FIRST = [0, 3, 1, 2];
const TO_LAST = [0, 2, 3, 1];

export type Writer = ReturnType<typeof writer>;

export function writer(weights: ReadonlyMap<string, ManifestWeight>) {
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  /** Values that are held with their channels first. */
  const first = new Set<string>();
  /** Values under another name: what passes another on. */
  const passed = new Map<string, string>();
  const turned = new Map<string, string>();
  let count = 0;

  const named = (value: string): string => passed.get(value) ?? value;
  const weightOf = (value: string): ManifestWeight | undefined => weights.get(named(value));

  function tensor(
    name: string,
    dims: readonly number[],
    numbers: ArrayLike<number>,
    isWhole: boolean,
  ): string {
    const data = isWhole
      ? { dataType: INT64, int64s: Array.from(numbers) }
      : { dataType: FLOAT, raw: new Uint8Array(Float32Array.from(numbers).buffer) };
    initializers.push({ ...blank('Tensor'), name, dims, ...data });
    return name;
  }

  /** Adds a node; gives the name of its output, the first where it has several. */
  function emit(
    operator: string,
    inputs: readonly string[],
    settings: Settings = {},
    ...outputs: readonly string[]
  ): string {
    const [output = `${inputs[0]}/${operator}_${++count}`, ...others] = outputs;
    const attributes = Object.entries(settings).map(([name, value]): AttributeProto => {
      const named = { ...blank('Attribute'), name };
      if (typeof value === 'number') return { ...named, int: value };
      if (typeof value === 'string') return { ...named, text: value };
      return 'float' in value ? { ...named, float: value.float } : { ...named, ints: value };
    });
    nodes.push({ inputs, outputs: [output, ...others], name: output, operator, attributes, domain: '' });
    return output;
  }

  function turn(value: string, perm: readonly number[]): string {
    const found = turned.get(value);
    if (found) return found;
    const made = emit('Transpose', [value], { perm });
    turned.set(value, made);
    return made;
  }

  const isFirst = (value: string): boolean => first.has(named(value));

  const self = {
    nodes,
    initializers,
    emit,
    isFirst,
    /** The value as TensorFlow has it. */
    last: (value: string): string => (isFirst(value) ? turn(named(value), TO_LAST) : named(value)),
    /** The value of a map with its channels first. */
    first: (value: string): string => (isFirst(value) ? named(value) : turn(named(value), TO_FIRST)),
    /** Says of a value that it is held with its channels first. */
    markFirst(value: string): void {
      first.add(value);
    },
    /** An output that is the value of another node. */
    pass({ name, inputs }: TfNode): void {
      passed.set(name, named(self.value(inputs, 0)));
    },
    /** A weight of the manifest. */
    constant(name: string): void {
      const weight = weights.get(name);
      if (weight === undefined) throw new FormatError('the manifest of weights does not list it');
      tensor(name, weight.shape, weight.read(), weight.isWhole);
    },
    /** A number or some, as an operator's input. */
    numbers(values: number | readonly number[], isWhole = true): string {
      const list = typeof values === 'number' ? [values] : values;
      return tensor(`constant_${++count}`, typeof values === 'number' ? [] : [list.length], list, isWhole);
    },
    input({ name, attributes }: TfNode, shape: readonly (number | undefined)[] | undefined): ValueProto {
      const type = typeOf(attributes, 'dtype');
      const elementType = INPUT_TYPES[type];
      if (elementType === undefined || shape === undefined)
        throw new FormatError(
          `an input of ${type} and shape ${quote(shape)}; float32 of a known rank is read`,
        );
      const dimensions = shape.map((value) => (value === undefined ? {} : { value }));
      return { name, type: { tensor: { elementType, shape: { dimensions } } } };
    },
    /** An input that must be there. */
    value(inputs: readonly string[], index: number): string {
      const value = inputs[index];
      if (value === undefined) throw new FormatError(`its input ${index} is missing`);
      return value;
    },
    weightOf,
    /** The numbers of an input that must be a weight. */
    numbersOf(
      inputs: readonly string[],
      index: number,
    ): { shape: readonly number[]; numbers: readonly number[] } {
      const weight = weightOf(self.value(inputs, index));
      if (weight === undefined)
        throw new FormatError(`its input ${index} depends on the picture; it must be a constant of the file`);
      return { shape: weight.shape, numbers: Array.from(weight.read()) };
    },
    /** The one number of an input that must be a weight. */
    one(inputs: readonly string[], index: number): number {
      const { numbers } = self.numbersOf(inputs, index);
      if (numbers.length === 1) return numbers[0]!;
      throw new FormatError(`its input ${index} holds ${numbers.length} numbers; one is expected`);
    },
  };
  return self;
}

/** An attribute's value of one kind: `{ "f": 0.001 }`; undefined where the node has none such. */
export function attribute(
  attributes: Json,
  name: string,
  kind: 'f' | 'i' | 'b' | 's' | 'type' | 'list',
): unknown {
  const found = field(attributes, name);
  return isObject(found) ? field(found, kind) : undefined;
}

export function number(attributes: Json, name: string, otherwise: number): number {
  const found = attribute(attributes, name, 'f') ?? attribute(attributes, name, 'i') ?? otherwise;
  const value = Number(found);
  if (Number.isFinite(value)) return value;
  throw new FormatError(`its ${name} is ${quote(found)}`);
}

export const flag = (attributes: Json, name: string): boolean => attribute(attributes, name, 'b') === true;

/** A text, which JSON holds in base 64. */
export function text(attributes: Json, name: string, otherwise = ''): string {
  const found = attribute(attributes, name, 's');
  return found === undefined ? otherwise : decoded(found, name);
}

function decoded(found: unknown, name: string): string {
  try {
    return atob(String(found));
  } catch {
    throw new FormatError(`its ${name} is ${quote(found)}`);
  }
}

const listOf = (attributes: Json, name: string, kind: 's' | 'i'): readonly unknown[] => {
  const list = attribute(attributes, name, 'list');
  const found = isObject(list) ? field(list, kind) : undefined;
  return Array.isArray(found) ? found : [];
};

export const texts = (attributes: Json, name: string): string[] =>
  listOf(attributes, name, 's').map((one) => decoded(one, name));

export function numbers(attributes: Json, name: string): number[] {
  const found = listOf(attributes, name, 'i').map(Number);
  if (found.every(Number.isSafeInteger)) return found;
  throw new FormatError(`its ${name} is ${quote(found)}`);
}

/** A type's name; some writers give its number. */
export function typeOf(attributes: Json, name: string): string {
  const found = attribute(attributes, name, 'type');
  const byNumber: Readonly<Record<string, string>> = {
    1: 'DT_FLOAT',
    3: 'DT_INT32',
    4: 'DT_UINT8',
    19: 'DT_HALF',
  };
  return byNumber[String(found)] ?? String(found);
}
