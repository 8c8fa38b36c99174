// The messages of an ONNX file (onnx.proto), by field number, and their decoding. protobufjs reads the wire format; the
// table says what the fields are, as far as Limelight has a use for them.

import protobuf from 'protobufjs/minimal.js';
import { FormatError } from '../errors.ts';

/** The primitive types of fields, which are protobuf's, as values here; whole numbers of 64 bits are numbers. */
interface Primitives {
  readonly int: number;
  readonly uint: number;
  readonly double: number;
  readonly float: number;
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** Field number -> name and type; `[]` repeats, `?` has no default. */
const MESSAGES = {
  Model: {
    7: ['graph', 'Graph?'],
    8: ['opsets', 'Opset[]'],
    // What exporters say of the network in words.
    14: ['metadata', 'Entry[]'],
    25: ['functions', 'Function[]'],
  },
  // An operator that the file itself defines.
  Function: {
    1: ['name', 'text'],
    4: ['inputs', 'text[]'],
    5: ['outputs', 'text[]'],
    7: ['nodes', 'Node[]'],
    9: ['opsets', 'Opset[]'],
    10: ['domain', 'text'],
    // Attributes that a call may leave out.
    11: ['defaults', 'Attribute[]'],
  },
  Opset: { 1: ['domain', 'text'], 2: ['version', 'int'] },
  Graph: {
    1: ['nodes', 'Node[]'],
    5: ['initializers', 'Tensor[]'],
    11: ['inputs', 'Value[]'],
    12: ['outputs', 'Value[]'],
  },
  Node: {
    1: ['inputs', 'text[]'],
    2: ['outputs', 'text[]'],
    3: ['name', 'text'],
    4: ['operator', 'text'],
    5: ['attributes', 'Attribute[]'],
    7: ['domain', 'text'],
  },
  Attribute: {
    1: ['name', 'text'],
    2: ['float', 'float'],
    3: ['int', 'int'],
    4: ['text', 'text'],
    5: ['tensor', 'Tensor?'],
    // A branch of an `If`.
    6: ['graph', 'Graph?'],
    7: ['floats', 'float[]'],
    8: ['ints', 'int[]'],
    // In a function's body: the attribute of the call that it stands for.
    21: ['reference', 'text'],
  },
  Tensor: {
    1: ['dims', 'int[]'],
    2: ['dataType', 'int'],
    4: ['floats', 'float[]'],
    5: ['int32s', 'int[]'],
    7: ['int64s', 'int[]'],
    8: ['name', 'text'],
    // Little-endian; a view of the file.
    9: ['raw', 'bytes?'],
    10: ['doubles', 'double[]'],
    11: ['uint64s', 'uint[]'],
    13: ['external', 'Entry[]'],
    // 1: the data is in another file, which `external` names.
    14: ['location', 'int'],
  },
  Entry: { 1: ['key', 'text'], 2: ['value', 'text'] },
  Value: { 1: ['name', 'text'], 2: ['type', 'Type?'] },
  Type: { 1: ['tensor', 'TensorType?'] },
  TensorType: { 1: ['elementType', 'int'], 2: ['shape', 'Shape?'] },
  Shape: { 1: ['dimensions', 'Dimension[]'] },
  // Without a value where the size is a symbol or unknown.
  Dimension: { 1: ['value', 'int?'] },
} as const;

type Messages = typeof MESSAGES;
type Fields<Name extends keyof Messages> = Messages[Name][keyof Messages[Name]] & readonly [string, string];
/** What a field's type in the table is in TypeScript. */
type Meaning<Type> = Type extends `${infer One}[]`
  ? readonly Meaning<One>[]
  : Type extends keyof Primitives
    ? Primitives[Type]
    : Type extends keyof Messages
      ? Message<Type>
      : never;
/** A message of the table: its fields by their names, those with `?` optional. */
type Message<Name extends keyof Messages> = {
  readonly [F in Fields<Name> as F[1] extends `${string}?` ? never : F[0]]: Meaning<F[1]>;
} & {
  readonly [F in Fields<Name> as F[1] extends `${string}?` ? F[0] : never]?: F[1] extends `${infer Type}?`
    ? Meaning<Type>
    : never;
};

export type TensorProto = Message<'Tensor'>;
export type AttributeProto = Message<'Attribute'>;
export type NodeProto = Message<'Node'>;
export type ValueProto = Message<'Value'>;
export type GraphProto = Message<'Graph'>;
export type FunctionProto = Message<'Function'>;
export type ModelProto = Message<'Model'>;

type Reader = protobuf.Reader;

/** A 64-bit integer as a number: exact up to 2^53, the nearest beyond, which only sentinels for "the end" are. */
const number = (n: number | { readonly high: number; readonly low: number; readonly unsigned: boolean }) =>
  typeof n === 'number' ? n : (n.unsigned ? n.high >>> 0 : n.high) * 2 ** 32 + (n.low >>> 0);

interface Primitive {
  readonly wire: number;
  readonly read: (reader: Reader) => unknown;
  readonly initial: unknown;
}

const LENGTH_DELIMITED = 2;
const PRIMITIVES: Readonly<Record<keyof Primitives, Primitive>> = {
  int: { wire: 0, read: (reader) => number(reader.int64()), initial: 0 },
  uint: { wire: 0, read: (reader) => number(reader.uint64()), initial: 0 },
  double: { wire: 1, read: (reader) => reader.double(), initial: 0 },
  float: { wire: 5, read: (reader) => reader.float(), initial: 0 },
  text: { wire: LENGTH_DELIMITED, read: (reader) => reader.string(), initial: '' },
  bytes: {
    wire: LENGTH_DELIMITED,
    read: (reader) => {
      const end = endOf(reader);
      const start = reader.pos;
      reader.pos = end;
      return reader.buf.subarray(start, end);
    },
    initial: undefined,
  },
};

/** Messages within each other: enough for branches within branches. */
const DEPTH_LIMIT = 64;

/** Messages in one file: far more than any network has, few enough to hold in memory. */
const MESSAGE_LIMIT = 1_000_000;

/** Reads a length, and gives where what follows ends. */
function endOf(reader: Reader): number {
  const length = reader.uint32();
  if (length > reader.len - reader.pos) {
    throw new RangeError(`${length} bytes are claimed where ${reader.len - reader.pos} are left`);
  }
  return reader.pos + length;
}

const fieldsOf = (type: keyof Messages): Readonly<Record<number, readonly [name: string, kind: string]>> =>
  MESSAGES[type];

/** A message of which nothing is given. */
export function blank<Name extends keyof Messages>(type: Name): Message<Name> {
  const message: Record<string, unknown> = {};
  for (const [name, kind] of Object.values(fieldsOf(type))) {
    if (kind.endsWith('[]')) message[name] = [];
    else if (!kind.endsWith('?')) message[name] = PRIMITIVES[kind as keyof Primitives].initial;
  }
  return message as Message<Name>;
}

function decodeMessage(
  type: keyof Messages,
  reader: Reader,
  budget: { left: number },
  depth = 0,
): Record<string, unknown> {
  if (depth > DEPTH_LIMIT) throw new RangeError(`its parts lie ${DEPTH_LIMIT} deep in each other`);
  if (--budget.left < 0) throw new RangeError(`it has more than ${MESSAGE_LIMIT} parts`);
  const fields = fieldsOf(type);
  const message: Record<string, unknown> = blank(type);
  const { len } = reader;
  while (reader.pos < len) {
    const tag = reader.uint32();
    const [number, wire] = [tag >>> 3, tag & 7];
    const field = fields[number];
    if (field === undefined) {
      reader.skipType(wire);
      continue;
    }
    const [name, kind] = field;
    const repeated = kind.endsWith('[]');
    const element = kind.replace(/\[\]$|\?$/, '');
    const primitive: Primitive | undefined = PRIMITIVES[element as keyof Primitives];
    const packed = repeated && primitive !== undefined && primitive.wire !== LENGTH_DELIMITED;
    if (wire !== (primitive?.wire ?? LENGTH_DELIMITED) && !(packed && wire === LENGTH_DELIMITED)) {
      throw new RangeError(`field ${number} of a ${type} has wire type ${wire}`);
    }
    const list = repeated ? (message[name] as unknown[]) : undefined;
    if (primitive === undefined) {
      reader.len = endOf(reader);
      const value = decodeMessage(element as keyof Messages, reader, budget, depth + 1);
      reader.len = len;
      if (list) list.push(value);
      else message[name] = value;
    } else if (packed && wire === LENGTH_DELIMITED) {
      reader.len = endOf(reader);
      while (reader.pos < reader.len) list!.push(primitive.read(reader));
      reader.len = len;
    } else {
      const value = primitive.read(reader);
      if (list) list.push(value);
      else message[name] = value;
    }
  }
  return message;
}

function decode(type: keyof Messages, bytes: Uint8Array, name: string, what: string): unknown {
  try {
    return decodeMessage(type, protobuf.Reader.create(bytes), { left: MESSAGE_LIMIT });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(`${name} is not a complete ${what}: ${reason}`, { cause });
  }
}

/** A graph and those inside its nodes. */
export const graphsIn = (graph: GraphProto): GraphProto[] => [
  graph,
  ...graph.nodes.flatMap((node) =>
    node.attributes.flatMap((attribute) => (attribute.graph ? graphsIn(attribute.graph) : [])),
  ),
];

/** An ONNX file's model; `name` stands for the file in messages. */
export const decodeModel = (bytes: Uint8Array, name: string): ModelProto =>
  decode('Model', bytes, name, 'ONNX file') as ModelProto;

/** A tensor in a file of its own (.pb). */
export const decodeTensor = (bytes: Uint8Array, name: string): TensorProto =>
  decode('Tensor', bytes, name, 'ONNX tensor') as TensorProto;
