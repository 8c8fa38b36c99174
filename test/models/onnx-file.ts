// Writes small ONNX files for the tests, with protobufjs's writer and the field numbers of onnx.proto.

import protobuf from 'protobufjs/minimal.js';

export interface TensorSpec {
  readonly name?: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType: 1 float, 7 int64, … */
  readonly type?: number;
  /** Written as raw float32 or int64 unless `field` or `raw` says otherwise. */
  readonly data?: readonly number[];
  readonly raw?: Uint8Array;
  /** Number of the typed field to write to: 4 floats, 5 int32s, 7 int64s, 10 doubles. */
  readonly field?: number;
  readonly external?: Readonly<Record<string, string>>;
}

/** A branch of an `If`. */
export interface BranchSpec {
  readonly nodes: readonly NodeSpec[];
  readonly initializers?: readonly TensorSpec[];
  readonly outputs: readonly string[];
}

type Attribute =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { floats: number[] }
  | { reference: string }
  | TensorSpec
  | BranchSpec;

export interface NodeSpec {
  readonly op: string;
  readonly inputs?: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface InputSpec {
  readonly name: string;
  /** A string is a symbol. */
  readonly dims: readonly (number | string)[];
  readonly type?: number;
}

/** An operator that the file defines. */
export interface FunctionSpec {
  readonly name: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly NodeSpec[];
}

export interface ModelSpec {
  readonly functions?: readonly FunctionSpec[];
  readonly opset?: number;
  readonly nodes: readonly NodeSpec[];
  readonly initializers?: readonly TensorSpec[];
  readonly inputs?: readonly InputSpec[];
  readonly outputs?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
}

type Write = (writer: protobuf.Writer) => void;

const bytes = (write: Write): Uint8Array => {
  const writer = protobuf.Writer.create();
  write(writer);
  return writer.finish();
};
const message = (writer: protobuf.Writer, field: number, write: Write) =>
  writer.uint32((field << 3) | 2).bytes(bytes(write));
const text = (writer: protobuf.Writer, field: number, value: string) =>
  writer.uint32((field << 3) | 2).string(value);
const int = (writer: protobuf.Writer, field: number, value: number) => writer.uint32(field << 3).int64(value);
const packed = (writer: protobuf.Writer, field: number, write: Write) => message(writer, field, write);

function writeTensor(writer: protobuf.Writer, spec: TensorSpec): void {
  const { name, dims, type = 1, data, raw, field, external } = spec;
  packed(writer, 1, (w) => {
    for (const n of dims) w.int64(n);
  });
  int(writer, 2, type);
  if (name !== undefined) text(writer, 8, name);
  if (raw) writer.uint32((9 << 3) | 2).bytes(raw);
  if (external) {
    for (const [key, value] of Object.entries(external)) {
      message(writer, 13, (w) => {
        text(w, 1, key);
        text(w, 2, value);
      });
    }
    int(writer, 14, 1);
  }
  if (data === undefined) return;
  if (field !== undefined) {
    packed(writer, field, (w) => {
      for (const n of data) field === 4 ? w.float(n) : field === 10 ? w.double(n) : w.int64(n);
    });
  } else {
    const array = type === 7 ? BigInt64Array.from(data, BigInt) : Float32Array.from(data);
    writer.uint32((9 << 3) | 2).bytes(new Uint8Array(array.buffer));
  }
}

function writeAttribute(writer: protobuf.Writer, name: string, value: Attribute): void {
  text(writer, 1, name);
  // AttributeProto.AttributeType, which Limelight has no use for and others insist on.
  const type = (n: number) => int(writer, 20, n);
  if (typeof value === 'string') {
    text(writer, 4, value);
    type(3);
  } else if (typeof value === 'number') {
    int(writer, 3, value);
    type(2);
  } else if (Array.isArray(value)) {
    for (const n of value) int(writer, 8, n);
    type(7);
  } else if ('float' in value) {
    writer.uint32((2 << 3) | 5).float(value.float);
    type(1);
  } else if ('reference' in value) text(writer, 21, value.reference);
  else if ('floats' in value) {
    for (const n of value.floats) writer.uint32((7 << 3) | 5).float(n);
    type(6);
  } else if ('nodes' in value) {
    message(writer, 6, (w) => writeGraph(w, value));
    type(5);
  } else {
    message(writer, 5, (w) => writeTensor(w, value as TensorSpec));
    type(4);
  }
}

function writeNode(w: protobuf.Writer, node: NodeSpec): void {
  for (const name of node.inputs ?? []) text(w, 1, name);
  for (const name of node.outputs) text(w, 2, name);
  if (node.name !== undefined) text(w, 3, node.name);
  text(w, 4, node.op);
  for (const [name, value] of Object.entries(node.attributes ?? {})) {
    message(w, 5, (a) => writeAttribute(a, name, value));
  }
  if (node.domain !== undefined) text(w, 7, node.domain);
}

function writeFunction(w: protobuf.Writer, { name, domain, inputs, outputs, nodes }: FunctionSpec): void {
  text(w, 1, name);
  for (const input of inputs) text(w, 4, input);
  for (const output of outputs) text(w, 5, output);
  for (const node of nodes) message(w, 7, (inner) => writeNode(inner, node));
  text(w, 10, domain);
}

function writeGraph(writer: protobuf.Writer, { nodes, initializers = [], outputs }: BranchSpec): void {
  for (const node of nodes) message(writer, 1, (w) => writeNode(w, node));
  for (const tensor of initializers) message(writer, 5, (w) => writeTensor(w, tensor));
  for (const name of outputs) message(writer, 12, (value) => text(value, 1, name));
}

/** A model's bytes. The input is `x` [N, 3, 4, 4] and the output `y` unless said otherwise. */
export function modelBytes(spec: ModelSpec): Uint8Array {
  const { opset = 13, nodes, initializers = [], outputs = ['y'] } = spec;
  const inputs = spec.inputs ?? [{ name: 'x', dims: ['N', 3, 4, 4] }];
  return bytes((model) => {
    int(model, 1, 7);
    message(model, 8, (w) => int(w, 2, opset));
    for (const [key, value] of Object.entries(spec.metadata ?? {})) {
      message(model, 14, (w) => {
        text(w, 1, key);
        text(w, 2, value);
      });
    }
    for (const one of spec.functions ?? []) message(model, 25, (w) => writeFunction(w, one));
    message(model, 7, (graph) => {
      writeGraph(graph, { nodes, initializers, outputs });
      for (const { name, dims, type = 1 } of inputs) {
        message(graph, 11, (value) => {
          text(value, 1, name);
          message(value, 2, (t) =>
            message(t, 1, (tensor) => {
              int(tensor, 1, type);
              message(tensor, 2, (shape) => {
                for (const n of dims) {
                  message(shape, 1, (d) => {
                    if (typeof n === 'string') text(d, 2, n);
                    else int(d, 1, n);
                  });
                }
              });
            }),
          );
        });
      }
    });
  });
}

/** A tensor of int64. */
export const ints = (name: string, ...data: number[]): TensorSpec => ({
  name,
  dims: [data.length],
  type: 7,
  data,
});
/** A tensor of small numbers: nothing depends on which. */
export const numbers = (name: string, dims: readonly number[]): TensorSpec => {
  const count = dims.reduce((product, n) => product * n, 1);
  return { name, dims, data: Array.from({ length: count }, (_, i) => (i % 7) / 8) };
};

/** A network with a bit of everything that reading does. */
export const everyStep: ModelSpec = {
  nodes: [
    { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'], name: 'conv', attributes: { pads: [1, 1, 1, 1] } },
    { op: 'Relu', inputs: ['c'], outputs: ['r'] },
    { op: 'Shape', inputs: ['r'], outputs: ['s'] },
    { op: 'Slice', inputs: ['s', 'zero', 'one'], outputs: ['n'] },
    { op: 'Concat', inputs: ['n', 'minus'], outputs: ['t'], attributes: { axis: 0 } },
    { op: 'Pad', inputs: ['r', 'pads'], outputs: ['p'], attributes: { mode: 'reflect' } },
    { op: 'MaxPool', inputs: ['p'], outputs: ['m'], attributes: { kernel_shape: [3, 3], strides: [2, 2] } },
    { op: 'Resize', inputs: ['m', '', 'scales'], outputs: ['u'], attributes: { mode: 'linear' } },
    { op: 'Split', inputs: ['u'], outputs: ['u1', 'u2'], attributes: { axis: 1, split: [1, 1] } },
    { op: 'Mul', inputs: ['u1', 'u2'], outputs: ['q'] },
    { op: 'Reshape', inputs: ['q', 't'], outputs: ['f'] },
    { op: 'Gemm', inputs: ['f', 'fc'], outputs: ['z'] },
    { op: 'Softmax', inputs: ['z'], outputs: ['y'] },
  ],
  opset: 12,
  initializers: [
    numbers('w', [2, 3, 3, 3]),
    numbers('b', [2]),
    numbers('fc', [16, 4]),
    ints('zero', 0),
    ints('one', 1),
    ints('minus', -1),
    ints('pads', 0, 0, 1, 1, 0, 0, 0, 0),
    { name: 'scales', dims: [4], data: [1, 1, 2, 2] },
  ],
};
