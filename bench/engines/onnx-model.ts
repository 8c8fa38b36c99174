// An ONNX file of one node, for a runtime that runs nothing but files.

import protobuf from 'protobufjs';
import type { HostTensor, KernelProblem } from '../problems.ts';
import { shapesOfKernel } from '../problems.ts';

// The fields of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) that one node needs.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Attribute { string name = 1; int64 i = 3; repeated int64 ints = 8 [packed = false]; int32 type = 20; }
  message Node { repeated string input = 1; repeated string output = 2; string op_type = 4; repeated Attribute attribute = 5; }
  message Tensor { repeated int64 dims = 1 [packed = false]; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
  message Dimension { int64 dim_value = 1; }
  message Shape { repeated Dimension dim = 1; }
  message TensorType { int32 elem_type = 1; Shape shape = 2; }
  message Type { TensorType tensor_type = 1; }
  message Value { string name = 1; Type type = 2; }
  message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated Value input = 11; repeated Value output = 12; }
  message Opset { string domain = 1; int64 version = 2; }
  message Model { int64 ir_version = 1; Graph graph = 7; repeated Opset opset_import = 8; }
`);

const FLOAT = 1;
const INT = 2;
const INTS = 7;

const value = (name: string, shape: readonly number[]) => ({
  name,
  type: { tensorType: { elemType: FLOAT, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});

const operators: Readonly<Record<KernelProblem['op'], string>> = {
  matmul: 'MatMul',
  conv2d: 'Conv',
  globalAvgPool: 'GlobalAveragePool',
  softmax: 'Softmax',
  relu: 'Relu',
};

/** The problem as a file: input `x`, output `y`, weights inside it. */
export function onnxModel(problem: KernelProblem, w?: HostTensor): Uint8Array {
  const { x, y } = shapesOfKernel(problem);
  const attribute =
    problem.op === 'conv2d'
      ? [
          { name: 'pads', type: INTS, ints: Array(4).fill((problem.kernel - 1) / 2) },
          { name: 'group', type: INT, i: problem.groups },
        ]
      : [];
  const output = problem.op === 'globalAvgPool' ? [...y, 1, 1] : y;
  const Model = root.lookupType('Model');
  const model = Model.create({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: problem.op,
      node: [{ opType: operators[problem.op], input: w ? ['x', 'w'] : ['x'], output: ['y'], attribute }],
      input: [value('x', x)],
      output: [value('y', output)],
      initializer: w
        ? [{ name: 'w', dims: w.shape, dataType: FLOAT, rawData: new Uint8Array(w.data.buffer) }]
        : [],
    },
  });
  return Model.encode(model).finish();
}
