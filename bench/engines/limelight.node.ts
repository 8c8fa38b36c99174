// Limelight itself: what its users call, and each variant of a kernel to compare with it.

import { disposeExplanation, type ExplainOptions, explain, observe, type Target } from '../../cam/index.ts';
import { gpuOf } from '../../engine/device.ts';
import * as ops from '../../engine/index.ts';
import { type Device, openDevice } from '../../engine/index.ts';
import { disposeNetwork, INPUT, loadNetwork } from '../../models/index.ts';
import { run as runNetwork } from '../../models/run.ts';
import project from '../../package.json' with { type: 'json' };
import { loadMeasured, networkInput } from '../networks.node.ts';
import { measurePeaks } from '../peaks.ts';
import type { KernelProblem, Problem } from '../problems.ts';
import { variantsOf } from '../variants.ts';
import type { Engine, Prepared } from './engine.ts';
import { prepareKernel, repeated, upload } from './limelight-kernels.ts';

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

/** Half the logits' squares, added up: what every engine takes the gradient of. */
const halfSquares: Target = ({ logits }) => ops.scale(ops.sum(ops.mul(logits, logits), [1]), 0.5);

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
        return ops.reshape(trace.at().gradient(halfSquares), [-1]);
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
