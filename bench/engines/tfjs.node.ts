// TensorFlow.js 4, on WebGPU or in WebAssembly. It keeps channels last; inputs and results are turned outside the timing.

import { INPUT } from '../../models/graph.ts';
import { loadMeasured, networkInput } from '../networks.node.ts';
import { folderOf, load, versionOf } from '../peers/load.node.ts';
import { type HostTensor, inputsOf, type KernelProblem, type Problem, shapesOfKernel } from '../problems.ts';
import { installNavigator } from './dawn.node.ts';
import { type Engine, type Prepared, Unsupported } from './engine.ts';
import { flat, interpret, type Layers, poolPadding } from './interpret.ts';

interface Tensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}
type Pads = number | 'same' | 'valid' | [number, number][];

/** What is used of tfjs-core. */
interface Tfjs {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  env(): { set(flag: string, value: boolean): void };
  tensor(data: Float32Array, shape: readonly number[]): Tensor;
  tidy<T>(body: () => T): T;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  conv2d(x: Tensor, w: Tensor, strides: readonly number[], pad: Pads): Tensor;
  depthwiseConv2d(x: Tensor, w: Tensor, strides: readonly number[], pad: Pads): Tensor;
  maxPool(x: Tensor, size: readonly number[], strides: readonly number[], pad: Pads): Tensor;
  batchNorm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    offset: Tensor,
    scale: Tensor,
    epsilon: number,
  ): Tensor;
  mean(x: Tensor, axes: number[]): Tensor;
  sum(x: Tensor): Tensor;
  square(x: Tensor): Tensor;
  mul(x: Tensor, factor: number): Tensor;
  softmax(x: Tensor): Tensor;
  relu(x: Tensor): Tensor;
  clipByValue(x: Tensor, min: number, max: number): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  concat(parts: readonly Tensor[], axis: number): Tensor;
  pad(x: Tensor, widths: [number, number][]): Tensor;
  stridedSlice(x: Tensor, begin: number[], end: number[], strides: number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  grad(f: (x: Tensor) => Tensor): (x: Tensor) => Tensor;
}

export async function openTfjs(backend: 'webgpu' | 'wasm'): Promise<Engine> {
  const adapter = backend === 'webgpu' ? await openWebgpu() : 'the processor, one thread, SIMD';
  const tf = await load<Tfjs>('@tensorflow/tfjs-core');
  await load('@tensorflow/tfjs-layers'); // registers the derivatives of tfjs-core's operations
  await load(`@tensorflow/tfjs-backend-${backend}`);
  if (backend === 'wasm') {
    const { setWasmPaths } = await load<{ setWasmPaths(folder: string): void }>(
      '@tensorflow/tfjs-backend-wasm',
    );
    setWasmPaths(folderOf('@tensorflow/tfjs-backend-wasm', 'dist/'));
  }
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs cannot start its ${backend} backend`);
  await tf.ready();
  return {
    adapter,
    version: await versionOf(`@tensorflow/tfjs-backend-${backend}`),
    prepare: async (problem) =>
      'network' in problem ? prepareNetwork(tf, problem) : prepareKernel(tf, problem),
  };
}

/** tfjs asks whether inputs are elements of a page, by classes that Node does not have. */
async function openWebgpu(): Promise<string> {
  const adapter = await installNavigator();
  const elements = ['HTMLCanvasElement', 'HTMLImageElement', 'HTMLVideoElement', 'ImageBitmap', 'VideoFrame'];
  for (const name of elements) Reflect.set(globalThis, name, class {});
  return adapter;
}

/** Copies an array of four axes into another order of them. */
function permuted(data: ArrayLike<number>, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const size = order.map((axis) => shape[axis]!);
  const step = order.map((axis) => strides[axis]!);
  const out = new Float32Array(data.length);
  let at = 0;
  for (let a = 0; a < size[0]!; a++)
    for (let b = 0; b < size[1]!; b++)
      for (let c = 0; c < size[2]!; c++)
        for (let d = 0; d < size[3]!; d++)
          out[at++] = data[a * step[0]! + b * step[1]! + c * step[2]! + d * step[3]!]!;
  return out;
}

const nhwc = [0, 2, 3, 1];
const hwio = [2, 3, 1, 0];

/** A host tensor with its axes in another order, on the backend. */
function upload(tf: Tfjs, { data, shape }: HostTensor, order?: readonly number[]): Tensor {
  if (order === undefined) return tf.tensor(data, shape);
  return tf.tensor(
    permuted(data, shape, order),
    order.map((axis) => shape[axis]!),
  );
}

const image = (tf: Tfjs, x: HostTensor) => upload(tf, x, x.shape.length === 4 ? nhwc : undefined);

/** Result [N, H, W, C] in the order of NCHW; `shape` is [N, C, H, W]. */
const channelsFirst = (data: ArrayLike<number>, [n, c, h, w]: readonly number[]) =>
  permuted(data, [n!, h!, w!, c!], [0, 3, 1, 2]);

function repeated(once: () => Tensor): Prepared['run'] {
  return async (times) => {
    for (let i = 1; i < times; i++) once().dispose();
    const result = once();
    const data = await result.data();
    result.dispose();
    return data;
  };
}

function prepareKernel(tf: Tfjs, problem: KernelProblem): Prepared {
  const host = inputsOf(problem);
  const { y } = shapesOfKernel(problem);
  const isDepthwise = problem.op === 'conv2d' && problem.groups === problem.inChannels;
  const x = image(tf, host.x);
  const w =
    host.w && upload(tf, host.w, host.w.shape.length === 4 ? (isDepthwise ? [2, 3, 0, 1] : hwio) : undefined);
  const once = (): Tensor => {
    switch (problem.op) {
      case 'matmul':
        return tf.matMul(x, w!);
      case 'conv2d':
        return isDepthwise ? tf.depthwiseConv2d(x, w!, [1, 1], 'same') : tf.conv2d(x, w!, [1, 1], 'same');
      case 'globalAvgPool':
        return tf.mean(x, [1, 2]);
      case 'softmax':
        return tf.softmax(x);
      case 'relu':
        return tf.relu(x);
    }
  };
  return {
    run: repeated(once),
    ...(y.length === 4 && { ordered: (data: ArrayLike<number>) => channelsFirst(data, y) }),
    dispose: () => {
      x.dispose();
      w?.dispose();
    },
  };
}

const pads = ([top, left, bottom, right]: readonly number[]): [number, number][] => [
  [0, 0],
  [top!, bottom!],
  [left!, right!],
  [0, 0],
];

const layersOf = (tf: Tfjs): Layers<Tensor> => ({
  conv: ([x], { weight, bias }, { stride, padding, groups }) => {
    const convolve = groups === 1 ? tf.conv2d : tf.depthwiseConv2d;
    const y = convolve(x!, weight!, stride!, pads(padding!));
    return bias ? tf.add(y, bias) : y;
  },
  batchNorm: ([x], { weight, bias, mean, variance }, { epsilon }) =>
    tf.batchNorm(x!, mean!, variance!, bias!, weight!, epsilon!),
  relu: ([x]) => tf.relu(x!),
  clip: ([x], _, { min, max }) => tf.clipByValue(x!, min!, max!),
  dropout: ([x]) => x!,
  flatten: ([x]) => flat(x!.shape, () => tf.reshape(x!, [x!.shape[0]!, -1])),
  add: ([a, b]) => tf.add(a!, b!),
  concat: (parts) => tf.concat(parts, 3),
  globalAvgPool: ([x]) => tf.mean(x!, [1, 2]),
  linear: ([x], { weight, bias }) => {
    const y = tf.matMul(x!, weight!, false, true);
    return bias ? tf.add(y, bias) : y;
  },
  maxPool: ([x], _, attributes) => {
    const [y, z] = [poolPadding(x!.shape[1]!, 0, attributes), poolPadding(x!.shape[2]!, 1, attributes)];
    return tf.maxPool(x!, attributes.kernel!, attributes.stride!, [[0, 0], y, z, [0, 0]]);
  },
  shortcut: ([x], _, { addedChannels }) => {
    const half = tf.stridedSlice(x!, [0, 0, 0, 0], x!.shape, [1, 2, 2, 1]);
    return tf.pad(half, [
      [0, 0],
      [0, 0],
      [0, 0],
      [addedChannels! / 2, addedChannels! / 2],
    ]);
  },
});

async function prepareNetwork(tf: Tfjs, problem: Exclude<Problem, KernelProblem>): Promise<Prepared> {
  if (problem.op === 'explain') throw new Unsupported('explaining');
  const { description, tensors } = await loadMeasured(problem.network);
  const { graph, targetLayer } = description;
  const layers = layersOf(tf);
  const depthwise = new Set(
    graph.nodes
      .filter((node) => (node.attributes.groups ?? 1) !== 1)
      .map((node) => node.parameters.weight?.key),
  );
  const parameters = new Map(
    [...tensors].map(([key, { shape, data }]) => {
      const order = shape.length !== 4 ? undefined : depthwise.has(key) ? [2, 3, 0, 1] : hwio;
      return [key, upload(tf, { shape, data: Float32Array.from(data) }, order)] as const;
    }),
  );
  const batch = problem.op === 'forward' ? problem.batch : 1;
  const input = image(tf, networkInput(problem.network, batch));
  const dispose = () => {
    for (const tensor of [input, ...parameters.values()]) tensor.dispose();
  };
  const valueAt = (known: readonly [string, Tensor], wanted: string) =>
    interpret(graph, layers, parameters, new Map([known]), wanted);
  if (problem.op === 'forward') {
    return { run: repeated(() => tf.tidy(() => valueAt([INPUT, input], graph.output))), dispose };
  }
  let shape: number[] = [];
  const gradient = () =>
    tf.tidy(() => {
      const featureMap = valueAt([INPUT, input], targetLayer);
      shape = featureMap.shape;
      const halfSquares = (a: Tensor) =>
        tf.mul(tf.sum(tf.square(valueAt([targetLayer, a], graph.output))), 0.5);
      return tf.grad(halfSquares)(featureMap);
    });
  return {
    run: repeated(gradient),
    ordered: (data) => channelsFirst(data, [shape[0]!, shape[3]!, shape[1]!, shape[2]!]),
    dispose,
  };
}
