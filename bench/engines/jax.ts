// jax-js on WebGPU, wherever it runs: kernels, every function compiled by its `jit`. Arrays are consumed by use: `ref` keeps
// them.

import { type HostTensor, inputsOf, type KernelProblem } from '../problems.ts';
import type { Prepared } from './engine.ts';

export interface Tensor {
  readonly ref: Tensor;
  readonly shape: number[];
  reshape(shape: readonly number[]): Tensor;
  add(other: Tensor): Tensor;
  sum(): Tensor;
  data(): Promise<Float32Array>;
  dispose(): void;
}
export type Pads = 'SAME' | [number, number][];
export type Fn = (...xs: Tensor[]) => Tensor;

/** What is used of jax-js. */
export interface Jax {
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

export async function startJax(jax: Jax): Promise<void> {
  await jax.init('webgpu');
  jax.defaultDevice('webgpu');
}

export const upload = (jax: Jax, { data, shape }: HostTensor) => jax.numpy.array(data).reshape(shape);

/** `f` of arrays that stay. */
export async function prepared(jax: Jax, f: Fn, inputs: readonly Tensor[]): Promise<Prepared> {
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

export function prepareKernel(jax: Jax, problem: KernelProblem): Promise<Prepared> {
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
