// Limelight's kernels, in Node and in browsers: what its users call, and any plan to compare with it.

import * as ops from '../../engine/index.ts';
import { type Device, scope, type Tensor } from '../../engine/index.ts';
import { runPlan } from '../../engine/plan.ts';
import { empty } from '../../engine/tensor.ts';
import type { Plan } from '../../kernels/plan.ts';
import { type HostTensor, inputsOf, type KernelProblem, shapesOfKernel } from '../problems.ts';
import { variantsOf } from '../variants.ts';
import type { Prepared } from './engine.ts';

export const upload = (device: Device, { data, shape }: HostTensor) => ops.tensor(device, data, shape);

/** Runs `once` repeatedly; every result is allocated, and the last is read. */
export const repeated =
  (once: () => Tensor): Prepared['run'] =>
  async (times) => {
    for (let i = 1; i < times; i++) once().dispose();
    const result = once();
    try {
      return await result.data();
    } finally {
      result.dispose();
    }
  };

function operation(problem: KernelProblem, x: Tensor, w: Tensor | undefined): Tensor {
  switch (problem.op) {
    case 'matmul':
      return ops.matmul(x, w!);
    case 'conv2d': {
      const pad = (problem.kernel - 1) / 2;
      return ops.conv2d(x, w!, { padding: [pad, pad, pad, pad], groups: problem.groups });
    }
    case 'globalAvgPool':
      return ops.globalAvgPool(x);
    case 'softmax':
      return ops.softmax(x, 1);
    case 'relu':
      return ops.relu(x);
  }
}

/** A problem on a device: by what users call, by one of its variants, or by a plan of `x` and `w` to `y`. */
export async function prepareKernel(
  device: Device,
  problem: KernelProblem,
  by?: string | Plan,
): Promise<Prepared> {
  const plan = typeof by === 'string' ? variantsOf(problem, device.profile)[by] : by;
  if (plan === undefined && by !== undefined) throw new RangeError(`${problem.op} has no variant ${by}`);
  const host = inputsOf(problem);
  const x = upload(device, host.x);
  const w = host.w && upload(device, host.w);
  const { y: shape } = shapesOfKernel(problem);
  const once = (): Tensor => {
    if (plan === undefined) return scope(() => operation(problem, x, w));
    const y = empty(device, shape, 'f32', 'bench');
    try {
      runPlan(device, plan, { x: x.storage, ...(w && { w: w.storage }), y: y.storage }, 'bench');
      return y;
    } catch (error) {
      y.dispose();
      throw error;
    }
  };
  const dispose = () => {
    for (const tensor of [x, w]) tensor?.dispose();
  };
  return { run: repeated(once), dispose };
}
