// The messages of an ONNX file (onnx.proto), by field number, and their decoding. protobufjs reads the wire format; the
// table says what the fields are, as far as Limelight has a use for them.

import protobuf from 'protobufjs/minimal.js';
import { FormatError } from '../errors.ts';

export interface TensorProto {
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly floats: readonly number[];
  readonly int32s: readonly number[];
  readonly int64s: readonly number[];
  readonly doubles: readonly number[];
  readonly uint64s: readonly number[];
  readonly name: string;
  /** Little-endian; a view of the file. */
  readonly raw?: Uint8Array;
  readonly external: readonly EntryProto[];
  /** 1: the data is in another file, which `external` names. */
  readonly location: number;
}

export interface EntryProto {
  readonly key: string;
  readonly value: string;
}

export interface AttributeProto {
  readonly name: string;
  readonly float: number;
  readonly int: number;
  readonly text: string;
  readonly tensor?: TensorProto;
  /** A branch of an `If`. */
  readonly graph?: GraphProto;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  /** In a function's body: the attribute of the call that it stands for. */
  readonly reference: string;
}

export interface NodeProto {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name: string;
  readonly operator: string;
  readonly attributes: readonly AttributeProto[];
  readonly domain: string;
}

export interface DimensionProto {
  /** Undefined where the size is a symbol or unknown. */
  readonly value?: number;
}

export interface ValueProto {
  readonly name: string;
  readonly type?: {
    readonly tensor?: {
      readonly elementType: number;
      readonly shape?: { readonly dimensions: readonly DimensionProto[] };
    };
  };
}

export interface GraphProto {
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly inputs: readonly ValueProto[];
  readonly outputs: readonly ValueProto[];
}

export interface OpsetProto {
  readonly domain: string;
  readonly version: number;
}

/** An operator that the file itself defines. */
export interface FunctionProto {
  readonly name: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly NodeProto[];
  readonly opsets: readonly OpsetProto[];
  /** Attributes that a call may leave out. */
  readonly defaults: readonly AttributeProto[];
}

export interface ModelProto {
  readonly graph?: GraphProto;
  readonly opsets: readonly OpsetProto[];
  readonly functions: readonly FunctionProto[];
  /** What exporters say of the network besides. */
  readonly metadata: readonly EntryProto[];
}

/** Field number -> name and type; `[]` repeats, `?` has no default. Lower-case types are protobuf's own. */
const MESSAGES: Readonly<Record<string, Readonly<Record<number, readonly [name: string, type: string]>>>> = {
  Model: {
    7: ['graph', 'Graph?'],
    8: ['opsets', 'Opset[]'],
    14: ['metadata', 'Entry[]'],
    25: ['functions', 'Function[]'],
  },
  Function: {
    1: ['name', 'text'],
    4: ['inputs', 'text[]'],
    5: ['outputs', 'text[]'],
    7: ['nodes', 'Node[]'],
    9: ['opsets', 'Opset[]'],
    10: ['domain', 'text'],
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
    6: ['graph', 'Graph?'],
    7: ['floats', 'float[]'],
    8: ['ints', 'int[]'],
    21: ['reference', 'text'],
  },
  Tensor: {
    1: ['dims', 'int[]'],
    2: ['dataType', 'int'],
    4: ['floats', 'float[]'],
    5: ['int32s', 'int[]'],
    7: ['int64s', 'int[]'],
    8: ['name', 'text'],
    9: ['raw', 'bytes?'],
    10: ['doubles', 'double[]'],
    11: ['uint64s', 'uint[]'],
    13: ['external', 'Entry[]'],
    14: ['location', 'int'],
  },
  Entry: { 1: ['key', 'text'], 2: ['value', 'text'] },
  Value: { 1: ['name', 'text'], 2: ['type', 'Type?'] },
  Type: { 1: ['tensor', 'TensorType?'] },
  TensorType: { 1: ['elementType', 'int'], 2: ['shape', 'Shape?'] },
  Shape: { 1: ['dimensions', 'Dimension[]'] },
  Dimension: { 1: ['value', 'int?'] },
};

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
const PRIMITIVES: Readonly<Record<string, Primitive>> = {
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

function decodeMessage(
  type: string,
  reader: Reader,
  budget: { left: number },
  depth = 0,
): Record<string, unknown> {
  if (depth > DEPTH_LIMIT) throw new RangeError(`its parts lie ${DEPTH_LIMIT} deep in each other`);
  if (--budget.left < 0) throw new RangeError(`it has more than ${MESSAGE_LIMIT} parts`);
  const fields = MESSAGES[type]!;
  const message: Record<string, unknown> = {};
  for (const [name, kind] of Object.values(fields)) {
    if (kind.endsWith('[]')) message[name] = [];
    else if (!kind.endsWith('?')) message[name] = PRIMITIVES[kind]!.initial;
  }
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
    const primitive = PRIMITIVES[element];
    const packed = repeated && primitive !== undefined && primitive.wire !== LENGTH_DELIMITED;
    if (wire !== (primitive?.wire ?? LENGTH_DELIMITED) && !(packed && wire === LENGTH_DELIMITED)) {
      throw new RangeError(`field ${number} of a ${type} has wire type ${wire}`);
    }
    const list = repeated ? (message[name] as unknown[]) : undefined;
    if (primitive === undefined) {
      reader.len = endOf(reader);
      const value = decodeMessage(element, reader, budget, depth + 1);
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

function decode(type: string, bytes: Uint8Array, name: string, what: string): unknown {
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
