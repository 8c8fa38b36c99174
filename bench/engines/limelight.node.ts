// Limelight itself: what its users call, and each variant of a kernel beside it.

import { disposeExplanation, type ExplainOptions, explain, observe, targets } from '../../cam/index.ts';
import { gpuOf } from '../../engine/device.ts';
import * as ops from '../../engine/index.ts';
import { type Device, openDevice, scope, type Tensor } from '../../engine/index.ts';
import { runPlan } from '../../engine/plan.ts';
import { empty } from '../../engine/tensor.ts';
import { disposeNetwork, INPUT, loadNetwork } from '../../models/index.ts';
import { run as runNetwork } from '../../models/run.ts';
import project from '../../package.json' with { type: 'json' };
import { loadMeasured, networkInput } from '../networks.node.ts';
import { measurePeaks } from '../peaks.ts';
import { type HostTensor, inputsOf, type KernelProblem, type Problem, shapesOfKernel } from '../problems.ts';
import { variantsOf } from '../variants.ts';
import type { Engine, Prepared } from './engine.ts';

export const openLimelight = async (): Promise<Engine> => limelightOn(await openDevice());

/** Limelight on a device that is open already. */
export function limelightOn(device: Device): Engine {
  return {
    adapter: `${device.name} (${device.kind})`,
    version: project.version,
    variants: (problem) => ('network' in problem ? [] : Object.keys(variantsOf(problem, device.profile))),
    prepare: (problem, variant) =>
      'network' in problem ? prepareNetwork(device, problem) : prepareKernel(device, problem, variant),
    peaks: () => measurePeaks(gpuOf(device)),
  };
}

const upload = (device: Device, { data, shape }: HostTensor) => ops.tensor(device, data, shape);

/** Runs `once` repeatedly; every result is allocated, and the last is read. */
const repeated =
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

async function prepareKernel(device: Device, problem: KernelProblem, variant?: string): Promise<Prepared> {
  const host = inputsOf(problem);
  const x = upload(device, host.x);
  const w = host.w && upload(device, host.w);
  const free = () => {
    for (const tensor of [x, w]) tensor?.dispose();
  };
  if (variant === undefined)
    return { run: repeated(() => scope(() => operation(problem, x, w))), dispose: free };

  const plan = variantsOf(problem, device.profile)[variant];
  if (plan === undefined) throw new RangeError(`${problem.op} has no variant ${variant}`);
  const { y: shape } = shapesOfKernel(problem);
  const once = () => {
    const y = empty(device, shape, 'f32', variant);
    runPlan(device, plan, { x: x.storage, ...(w && { w: w.storage }), y: y.storage }, variant);
    return y;
  };
  return { run: repeated(once), dispose: free };
}

async function prepareNetwork(device: Device, problem: Exclude<Problem, KernelProblem>): Promise<Prepared> {
  const { description, tensors } = await loadMeasured(problem.network);
  const network = loadNetwork(device, description, new Map(tensors));
  const { graph } = network;
  const input = upload(device, networkInput(problem.network, problem.op === 'forward' ? problem.batch : 1));
  const dispose = () => {
    input.dispose();
    disposeNetwork(network);
  };
  if (problem.op === 'forward') {
    const forward = () => runNetwork(network, new Map([[INPUT, input]]), [graph.output]).get(graph.output)!;
    return { run: repeated(forward), dispose };
  }
  if (problem.op === 'gradient') {
    const gradient = () => {
      const trace = observe(network, input);
      try {
        return ops.reshape(trace.at().gradient(targets.logit(0)), [-1]);
      } finally {
        trace.dispose();
      }
    };
    return { run: repeated(gradient), dispose };
  }
  const classes = Array.from({ length: problem.classes }, (_, i) => i);
  const options: ExplainOptions = { methods: problem.methods, ...(classes.length > 0 && { classes }) };
  return {
    async run(times) {
      let last: Float32Array = new Float32Array();
      for (let i = 0; i < times; i++) {
        const explanations = await explain(network, input, options);
        for (const explanation of explanations) {
          const { map, upsampled } = explanation;
          [last] = await Promise.all([map.data(), upsampled.data()]);
          disposeExplanation(explanation);
        }
      }
      return last;
    },
    dispose,
  };
}
