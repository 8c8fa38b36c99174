// TensorFlow.js 4 in Node, on WebGPU or in WebAssembly: kernels, and whole networks layer by layer.

import { INPUT } from '../../models/graph.ts';
import { loadMeasured, networkInput } from '../networks.node.ts';
import { folderOf, load, versionOf } from '../peers/load.node.ts';
import type { KernelProblem, Problem } from '../problems.ts';
import { installNavigator } from './dawn.node.ts';
import { type Engine, type Prepared, Unsupported } from './engine.ts';
import { flat, interpret, type Layers, poolPadding } from './interpret.ts';
import {
  channelsFirst,
  hwio,
  image,
  prepareKernel,
  repeated,
  standInForElements,
  startBackend,
  type Tensor,
  type Tfjs,
  upload,
} from './tfjs.ts';

export async function openTfjs(backend: 'webgpu' | 'wasm'): Promise<Engine> {
  const adapter = backend === 'webgpu' ? await installNavigator() : 'the processor, one thread, SIMD';
  standInForElements();
  const tf = await load<Tfjs>('@tensorflow/tfjs-core');
  await load('@tensorflow/tfjs-layers'); // registers the derivatives of tfjs-core's operations
  await load(`@tensorflow/tfjs-backend-${backend}`);
  if (backend === 'wasm') {
    const { setWasmPaths } = await load<{ setWasmPaths(folder: string): void }>(
      '@tensorflow/tfjs-backend-wasm',
    );
    setWasmPaths(folderOf('@tensorflow/tfjs-backend-wasm', 'dist/'));
  }
  await startBackend(tf, backend);
  return {
    adapter,
    version: await versionOf(`@tensorflow/tfjs-backend-${backend}`),
    prepare: async (problem) =>
      'network' in problem ? prepareNetwork(tf, problem) : prepareKernel(tf, problem),
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
  relu6: ([x]) => tf.clipByValue(x!, 0, 6),
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
