// Run by main.node.ts under a driver without hardware: runs the cases given as arguments with what the engine chooses for
// them. Says on stderr, between the driver's lines, which kernel is being compiled, and on stdout what was dispatched, a line
// of JSON each. What is computed is garbage.

import { writeSync } from 'node:fs';
import { globals } from 'webgpu';
import { openDevice } from '../../engine/index.ts';
import { kernelCases, networkCases } from '../cases.ts';
import { limelightOn } from '../engines/limelight.node.ts';
import type { Dispatch } from './radv.ts';

const say = (line: string) => writeSync(2, `\n@@${line}\n`);
const { GPUDevice: Device, GPUComputePassEncoder: Pass } = globals as unknown as {
  GPUDevice: { prototype: GPUDevice };
  GPUComputePassEncoder: { prototype: GPUComputePassEncoder };
};
const labels = new WeakMap<GPUComputePassEncoder, string>();
let current = '';

const { createComputePipeline } = Device.prototype;
Device.prototype.createComputePipeline = function (descriptor) {
  say(`compiled ${descriptor.label}`);
  const pipeline = createComputePipeline.call(this, descriptor);
  say('end');
  pipeline.label = descriptor.label!;
  return pipeline;
};
const { setPipeline, dispatchWorkgroups } = Pass.prototype;
Pass.prototype.setPipeline = function (pipeline) {
  labels.set(this, pipeline.label);
  return setPipeline.call(this, pipeline);
};
Pass.prototype.dispatchWorkgroups = function (x, y = 1, z = 1) {
  const dispatch: Dispatch = { case: current, label: labels.get(this)!, workgroups: x * y * z };
  writeSync(1, `${JSON.stringify(dispatch)}\n`);
  return dispatchWorkgroups.call(this, x, y, z);
};

const engine = limelightOn(await openDevice());
const wanted = new Set(process.argv.slice(2));
for (const { name, problem } of [...kernelCases, ...networkCases].filter(({ name }) => wanted.has(name))) {
  const prepared = await engine.prepare(problem);
  current = `${name}, first`;
  await prepared.run(1); // makes what is kept of the weights
  current = name;
  await prepared.run(1);
  prepared.dispose();
}
// RADV's null device does not survive an ordinary exit.
say('done');
process.kill(process.pid, 'SIGKILL');
