// jax-js in Node: kernels, and whole networks layer by layer.

import { INPUT } from '../../models/graph.ts';
import { loadMeasured, networkInput } from '../networks.node.ts';
import { load, versionOf } from '../peers/load.node.ts';
import type { KernelProblem, Problem } from '../problems.ts';
import { installNavigator } from './dawn.node.ts';
import { type Engine, type Prepared, Unsupported } from './engine.ts';
import { flat, interpret, type Layers, poolPadding } from './interpret.ts';
import {
  type Fn,
  type Jax,
  type Pads,
  prepared,
  prepareKernel,
  startJax,
  type Tensor,
  upload,
} from './jax.ts';

export async function openJax(): Promise<Engine> {
  const adapter = await installNavigator();
  const jax = await load<Jax>('@jax-js/jax');
  await startJax(jax);
  return {
    adapter,
    version: await versionOf('@jax-js/jax'),
    prepare: async (problem) =>
      'network' in problem ? prepareNetwork(jax, problem) : prepareKernel(jax, problem),
  };
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
  relu6: ([x]) => np.clip(x!.ref, 0, 6),
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
