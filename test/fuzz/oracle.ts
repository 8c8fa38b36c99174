// Damaged ONNX files that load, against ONNX Runtime's CPU: what both compute must be the same. Needs what
// `npm ci --prefix bench/peers --ignore-scripts` installs.

import { createRequire } from 'node:module';
import { type Device, LimelightError, scope, tensor } from '../../engine/index.ts';
import { describeImported } from '../../models/describe.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { FormatError, INPUT, loadNetwork } from '../../models/index.ts';
import { disposeNetwork } from '../../models/network.ts';
import { run } from '../../models/run.ts';
import { mutated } from '../models/mutations.ts';
import { modelBytes } from '../models/onnx-file.ts';
import { relativeError, seededRandom } from '../reference/index.ts';

interface Session {
  readonly inputNames: readonly string[];
  run(
    inputs: object,
  ): Promise<Record<string, { readonly data: Float32Array; readonly dims: readonly number[] }>>;
}
interface Runtime {
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (type: string, data: Float32Array, shape: readonly number[]) => unknown;
}

/** ONNX Runtime; undefined where it is not installed. */
export function runtime(): Runtime | undefined {
  try {
    return createRequire(new URL('../../bench/peers/package.json', import.meta.url))('onnxruntime-node');
  } catch {
    return undefined;
  }
}

const numbers = (name: string, dims: readonly number[]) => ({
  name,
  dims,
  data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + 1)),
});
const whole = (name: string, ...data: number[]) => ({ name, dims: [data.length], type: 7, data });
const inputs = [{ name: 'x', dims: [1, 3, 4, 4] }];

/** Small networks of much that networks do, whole in the eyes of ONNX Runtime. */
const good = () => [
  modelBytes({
    opset: 13,
    inputs,
    nodes: [
      {
        op: 'Conv',
        inputs: ['x', 'w', 'b'],
        outputs: ['c'],
        attributes: { pads: [1, 1, 1, 1], strides: [1, 1] },
      },
      { op: 'LeakyRelu', inputs: ['c'], outputs: ['r'], attributes: { alpha: { float: 0.1 } } },
      { op: 'Pad', inputs: ['r', 'pads'], outputs: ['p'], attributes: { mode: 'reflect' } },
      {
        op: 'AveragePool',
        inputs: ['p'],
        outputs: ['a'],
        attributes: { kernel_shape: [2, 2], strides: [1, 1] },
      },
      { op: 'MaxPool', inputs: ['p'], outputs: ['m'], attributes: { kernel_shape: [2, 2], strides: [1, 1] } },
      { op: 'Concat', inputs: ['a', 'm'], outputs: ['k'], attributes: { axis: 1 } },
      { op: 'Slice', inputs: ['k', 'from', 'to', 'axes'], outputs: ['s'] },
      { op: 'Flatten', inputs: ['s'], outputs: ['f'], attributes: { axis: 1 } },
      {
        op: 'Gemm',
        inputs: ['f', 'fc', 'fb'],
        outputs: ['z'],
        attributes: { alpha: { float: 0.5 }, transB: 1 },
      },
      { op: 'Softmax', inputs: ['z'], outputs: ['y'], attributes: { axis: 1 } },
    ],
    initializers: [
      numbers('w', [2, 3, 3, 3]),
      numbers('b', [2]),
      numbers('fc', [4, 48]),
      numbers('fb', [4]),
      whole('pads', 0, 0, 1, 1, 0, 0, 0, 0),
      whole('from', 0),
      whole('to', 3),
      whole('axes', 1),
    ],
  }),
  modelBytes({
    opset: 13,
    inputs,
    nodes: [
      {
        op: 'BatchNormalization',
        inputs: ['x', 's', 's', 's', 'v'],
        outputs: ['n'],
        attributes: { epsilon: { float: 0.01 } },
      },
      { op: 'Sigmoid', inputs: ['n'], outputs: ['g'] },
      { op: 'Mul', inputs: ['n', 'g'], outputs: ['d'] },
      { op: 'Transpose', inputs: ['d'], outputs: ['t'], attributes: { perm: [0, 2, 3, 1] } },
      { op: 'MatMul', inputs: ['t', 'q'], outputs: ['e'] },
      { op: 'Unsqueeze', inputs: ['e', 'one'], outputs: ['h'] },
      { op: 'Squeeze', inputs: ['h', 'one'], outputs: ['l'] },
      { op: 'Gather', inputs: ['l', 'rows'], outputs: ['o'], attributes: { axis: 1 } },
      { op: 'Reshape', inputs: ['o', 'shape'], outputs: ['u'] },
      { op: 'ReduceMean', inputs: ['u'], outputs: ['y'], attributes: { axes: [1], keepdims: 0 } },
    ],
    initializers: [
      numbers('s', [3]),
      { name: 'v', dims: [3], data: [1, 2, 3] },
      numbers('q', [3, 5]),
      whole('one', 1),
      whole('rows', 3, 1),
      whole('shape', 0, -1, 5),
    ],
  }),
];

const noParts = () => Promise.reject(new FormatError('no parts here'));

export interface Compared {
  files: number;
  /** Read by Limelight. */
  read: number;
  /** Computed by both. */
  both: number;
  /** What differs. */
  readonly wrong: string[];
}

/** Compares damaged files until so many were computed by both. */
export async function compare(device: Device, ort: Runtime, wanted: number, seed = 1): Promise<Compared> {
  const next = seededRandom(seed);
  const files = good();
  const found: Compared = { files: 0, read: 0, both: 0, wrong: [] };
  for (; found.both < wanted && found.files < 200 * wanted; found.files++) {
    const bytes =
      found.files < files.length ? files[found.files]! : mutated(files[found.files % files.length]!, next);
    const imported = await readOnnx(bytes, 'a.onnx', noParts).catch((error: unknown) => {
      if (error instanceof LimelightError) return undefined;
      throw error;
    });
    if (imported === undefined) continue;
    found.read++;
    const size = imported.inputShape.reduce((a, b) => a * b, 1);
    if (size > 1e6) continue;
    const x = Float32Array.from({ length: size }, () => 2 * next() - 1);
    const expected = await ort.InferenceSession.create(bytes, {
      logSeverityLevel: 4,
      graphOptimizationLevel: 'disabled',
    })
      .then((session) =>
        session.run({ [session.inputNames[0]!]: new ort.Tensor('float32', x, imported.inputShape) }),
      )
      .catch(() => undefined);
    if (expected === undefined) continue;
    let network: ReturnType<typeof loadNetwork> | undefined;
    try {
      network = loadNetwork(device, describeImported('a', imported), imported.tensors);
    } catch (error) {
      if (error instanceof LimelightError) continue; // weights that are not finite
      throw error;
    }
    const input = tensor(device, x, imported.inputShape);
    const names = new Map([...(network.graph.outputs ?? []), ['logits', network.graph.output]]);
    const computed = scope(() => run(network!, new Map([[INPUT, input]]), [...names.values()]));
    for (const [name, { data }] of Object.entries(expected)) {
      // Where numbers near the largest ones overflow depends on the order of sums.
      if (!data.every(Number.isFinite)) continue;
      const values = await computed.get(names.get(name) ?? '')?.data();
      if (values?.length === data.length && relativeError(values, data) < 1e-3) continue;
      const start = (of: ArrayLike<number> = []) => Array.from(of).slice(0, 4).join(', ');
      const file = Buffer.from(bytes).toString('base64');
      found.wrong.push(`${name} is ${start(values)}, expected ${start(data)}: ${file}`);
    }
    found.both++;
    for (const made of computed.values()) made.dispose();
    input.dispose();
    disposeNetwork(network);
  }
  return found;
}
