// One ONNX operator or a few as a network of their own: read, run on the device, and held to what a test computes in float64.

import test from 'tape';
import { scope, tensor } from '../../engine/index.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { device } from '../device.ts';
import { type Array64, randomArray, relativeError, seededRandom } from '../reference/index.ts';
import { modelBytes, type NodeSpec, type TensorSpec } from './onnx-file.ts';

export const noParts = () => Promise.reject(new Error('no parts are expected'));

export interface Case {
  /** Its output is r. */
  readonly nodes: readonly NodeSpec[];
  readonly opset?: number;
  readonly shape: readonly number[];
  readonly weights?: Readonly<Record<string, Array64>>;
  /** Others as the file has them. */
  readonly stored?: readonly TensorSpec[];
  readonly expected: (x: Array64) => Array64;
}

const stored = (name: string, { shape, data }: Array64): TensorSpec => ({
  name,
  dims: shape,
  data: [...data],
});
export const readCase = (
  { nodes, opset = 21, shape, weights = {}, stored: more = [] }: Omit<Case, 'expected'>,
  type = 1,
) =>
  readOnnx(
    modelBytes({
      opset,
      nodes: [...nodes, { op: 'Flatten', inputs: ['r'], outputs: ['y'] }],
      initializers: [...Object.entries(weights).map(([name, one]) => stored(name, one)), ...more],
      inputs: [{ name: 'x', dims: shape, type }],
    }),
    'net.onnx',
    noParts,
  );

export async function outputOf(one: Omit<Case, 'expected'>, x: Array64, type = 1): Promise<Float32Array> {
  const { graph, tensors, inputShape } = await readCase(one, type);
  const on = await device();
  const y = scope(() => {
    const parameters = new Map(
      [...tensors].map(([key, { data, shape }]) => [key, tensor(on, data, shape)] as const),
    );
    const known = new Map([[INPUT, tensor(on, x.data, inputShape)]]);
    return evaluate(graph, parameters, known, [graph.output]).get(graph.output)!;
  });
  const values = await y.data();
  y.dispose();
  return values;
}

/** A test for each case. */
export function holdToFloat64(cases: Readonly<Record<string, Case>>): void {
  for (const [name, { expected, ...one }] of Object.entries(cases)) {
    test(`ONNX: ${name}`, async (t) => {
      const x = randomArray(one.shape, seededRandom(8), { low: -2, high: 2 });
      const [found, wanted] = [await outputOf(one, x), expected(x).data];
      t.equal(found.length, wanted.length);
      t.ok(relativeError(found, wanted) < 2e-6, `off by ${relativeError(found, wanted).toExponential(1)}`);
    });
  }
}
