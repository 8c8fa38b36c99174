// jax-js on WebGPU, every function compiled by its `jit`. Arrays are consumed by use: `ref` keeps them.

import { INPUT } from '../../models/graph.ts';
import { loadMeasured, networkInput } from '../networks.node.ts';
import { load, versionOf } from '../peers/load.node.ts';
import { type HostTensor, inputsOf, type KernelProblem, type Problem } from '../problems.ts';
import { installNavigator } from './dawn.node.ts';
import { type Engine, type Prepared, Unsupported } from './engine.ts';
import { flat, interpret, type Layers, poolPadding } from './interpret.ts';

interface Tensor {
  readonly ref: Tensor;
  readonly shape: number[];
  reshape(shape: readonly number[]): Tensor;
  add(other: Tensor): Tensor;
  sum(): Tensor;
  data(): Promise<Float32Array>;
  dispose(): void;
}
type Pads = 'SAME' | [number, number][];
type Fn = (...xs: Tensor[]) => Tensor;

/** What is used of jax-js. */
interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): void;
  jit(f: Fn): Fn;
  grad(f: Fn): Fn;
  blockUntilReady(xs: Tensor[]): Promise<unknown>;
  numpy: {
    array(data: Float32Array): Tensor;
    matmul(a: Tensor, b: Tensor): Tensor;
    transpose(x: Tensor): Tensor;
    mean(x: Tensor, axes: number[]): Tensor;
    max(x: Tensor): Tensor;
    clip(x: Tensor, min: number, max: number): Tensor;
    pad(x: Tensor, widths: [number, number][]): Tensor;
    concatenate(parts: Tensor[], axis: number): Tensor;
    multiply(a: Tensor, b: Tensor | number): Tensor;
    square(x: Tensor): Tensor;
    divide(a: Tensor, b: Tensor): Tensor;
    subtract(a: Tensor, b: Tensor): Tensor;
    sqrt(x: Tensor): Tensor;
    add(a: Tensor, b: Tensor | number): Tensor;
  };
  lax: {
    convGeneralDilated(
      x: Tensor,
      w: Tensor,
      strides: readonly number[],
      padding: Pads,
      options?: { featureGroupCount: number },
    ): Tensor;
    reduceWindow(
      x: Tensor,
      f: (x: Tensor) => Tensor,
      size: readonly number[],
      strides: readonly number[],
    ): Tensor;
  };
  nn: { softmax(x: Tensor): Tensor; relu(x: Tensor): Tensor };
}

export async function openJax(): Promise<Engine> {
  const adapter = await installNavigator();
  const jax = await load<Jax>('@jax-js/jax');
  await jax.init('webgpu');
  jax.defaultDevice('webgpu');
  return {
    adapter,
    version: await versionOf('@jax-js/jax'),
    prepare: async (problem) =>
      'network' in problem ? prepareNetwork(jax, problem) : prepareKernel(jax, problem),
  };
}

const upload = (jax: Jax, { data, shape }: HostTensor) => jax.numpy.array(data).reshape(shape);

/** `f` of arrays that stay. */
async function prepared(jax: Jax, f: Fn, inputs: readonly Tensor[]): Promise<Prepared> {
  await jax.blockUntilReady([...inputs]);
  const compiled = jax.jit(f);
  const once = () => compiled(...inputs.map((x) => x.ref));
  return {
    async run(times) {
      // Arrays are computed when they are asked for: one that is disposed of before would cost nothing.
      const results = Array.from({ length: times }, once);
      await jax.blockUntilReady(results);
      const last = results.pop()!;
      for (const result of results) result.dispose();
      return last.data();
    },
    dispose() {
      for (const x of inputs) x.dispose();
    },
  };
}

function prepareKernel(jax: Jax, problem: KernelProblem): Promise<Prepared> {
  const { x, w } = inputsOf(problem);
  const f = (a: Tensor, b?: Tensor): Tensor => {
    switch (problem.op) {
      case 'matmul':
        return jax.numpy.matmul(a, b!);
      case 'conv2d':
        return jax.lax.convGeneralDilated(a, b!, [1, 1], 'SAME', { featureGroupCount: problem.groups });
      case 'globalAvgPool':
        return jax.numpy.mean(a, [2, 3]);
      case 'softmax':
        return jax.nn.softmax(a);
      case 'relu':
        return jax.nn.relu(a);
    }
  };
  return prepared(jax, f, [upload(jax, x), ...(w ? [upload(jax, w)] : [])]);
}

/** A parameter or channel vector [C] beside [N, C, H, W]. */
const perChannel = (x: Tensor): Tensor => x.ref.reshape([1, -1, 1, 1]);

const layersOf = ({ numpy: np, lax, nn }: Jax): Layers<Tensor> => ({
  conv: ([x], { weight, bias }, { stride, padding, groups }) => {
    const [top, left, bottom, right] = padding!;
    const around: Pads = [
      [top, bottom],
      [left, right],
    ];
    const y = lax.convGeneralDilated(x!.ref, weight!.ref, stride!, around, { featureGroupCount: groups! });
    return bias ? np.add(y, perChannel(bias)) : y;
  },
  batchNorm: ([x], { weight, bias, mean, variance }, { epsilon }) => {
    const scale = np.divide(weight!.ref, np.sqrt(np.add(variance!.ref, epsilon!)));
    const shift = np.subtract(bias!.ref, np.multiply(mean!.ref, scale.ref));
    return np.add(np.multiply(x!.ref, scale.reshape([1, -1, 1, 1])), shift.reshape([1, -1, 1, 1]));
  },
  relu: ([x]) => nn.relu(x!.ref),
  clip: ([x], _, { min, max }) => np.clip(x!.ref, min!, max!),
  dropout: ([x]) => x!.ref,
  flatten: ([x]) => flat(x!.shape, () => x!.ref.reshape([x!.shape[0]!, -1])),
  add: ([a, b]) => np.add(a!.ref, b!.ref),
  concat: (parts) =>
    np.concatenate(
      parts.map((part) => part.ref),
      1,
    ),
  globalAvgPool: ([x]) => np.mean(x!.ref, [2, 3]),
  linear: ([x], { weight, bias }) => {
    const y = np.matmul(x!.ref, np.transpose(weight!.ref));
    return bias ? np.add(y, bias.ref) : y;
  },
  maxPool: ([x], _, attributes) => {
    const [, , height, width] = x!.shape;
    // Zeros around do not change a maximum over what a ReLU gave, which is all that is pooled here.
    const padded = np.pad(x!.ref, [
      [0, 0],
      [0, 0],
      poolPadding(height!, 0, attributes),
      poolPadding(width!, 1, attributes),
    ]);
    return lax.reduceWindow(padded, (window) => np.max(window), attributes.kernel!, attributes.stride!);
  },
  shortcut: ([x], _, { addedChannels }) => {
    const half = lax.reduceWindow(x!.ref, (window) => np.max(window), [1, 1], [2, 2]);
    const around = addedChannels! / 2;
    return np.pad(half, [
      [0, 0],
      [around, around],
      [0, 0],
      [0, 0],
    ]);
  },
});

async function prepareNetwork(jax: Jax, problem: Exclude<Problem, KernelProblem>): Promise<Prepared> {
  if (problem.op === 'explain') throw new Unsupported('explaining');
  const { description, tensors } = await loadMeasured(problem.network);
  const { graph, targetLayer } = description;
  const layers = layersOf(jax);
  const keys = [...tensors.keys()];
  const weights = keys.map((key) => {
    const { shape, data } = tensors.get(key)!;
    return upload(jax, { shape, data: Float32Array.from(data) });
  });
  const input = upload(jax, networkInput(problem.network, problem.op === 'forward' ? problem.batch : 1));
  const named = (values: readonly Tensor[]) => new Map(keys.map((key, i) => [key, values[i]!]));
  const valueAt = (from: string, x: Tensor, wanted: string, parameters: readonly Tensor[]) =>
    interpret(graph, layers, named(parameters), new Map([[from, x]]), wanted);
  if (problem.op === 'forward') {
    return prepared(jax, (x, ...parameters) => valueAt(INPUT, x!, graph.output, parameters), [
      input,
      ...weights,
    ]);
  }
  const gradient = (x: Tensor, ...parameters: Tensor[]) => {
    const featureMap = valueAt(INPUT, x, targetLayer, parameters);
    const halfSquares = (a?: Tensor) => {
      const logits = valueAt(targetLayer, a!, graph.output, parameters);
      return jax.numpy.multiply(jax.numpy.square(logits).sum(), 0.5);
    };
    return jax.grad(halfSquares)(featureMap);
  };
  return prepared(jax, gradient as Fn, [input, ...weights]);
}
