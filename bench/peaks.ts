// Measures the adapter's peaks by two kernels that do one thing each: the roofline's two lines.

import { text } from '#platform';
import type { Peaks } from './roofline.ts';

const WORKGROUP = 64;
/** Fused multiply-adds of one thread of multiply-add.wgsl, and vec4 that one of copy.wgsl moves. */
const CHAIN_STEPS = 16 * 1024;
const VECTORS = 16;
/** Bytes copied: more than processors' caches hold, and within every adapter's limits. */
const COPIED = 2 ** 26;
/** A dispatch is enlarged until it takes this long. */
const LONG_ENOUGH_MS = 30;
const TRIALS = 7;

/** Best of several trials: a peak is what the adapter can do, not what it does while others use it. */
export async function measurePeaks(gpu: GPUDevice): Promise<Peaks> {
  const buffer = (size: number) => gpu.createBuffer({ size, usage: GPUBufferUsage.STORAGE });
  const [x, y] = [buffer(COPIED), buffer(COPIED)];
  try {
    const multiplyAdd = await probe(gpu, new URL('./probes/multiply-add.wgsl', import.meta.url), [y]);
    const copy = await probe(gpu, new URL('./probes/copy.wgsl', import.meta.url), [x, y]);
    let threads = 1 << 14;
    while (threads < 1 << 21 && (await multiplyAdd(threads / WORKGROUP, 1)) < LONG_ENOUGH_MS) threads *= 2;
    const copyGroups = COPIED / (16 * VECTORS * WORKGROUP);
    let copies = 1;
    while (copies < 256 && (await copy(copyGroups, copies)) < LONG_ENOUGH_MS) copies *= 2;
    const best = async (run: () => Promise<number>) => {
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < TRIALS; i++) least = Math.min(least, await run());
      return least / 1000;
    };
    return {
      flops: (2 * CHAIN_STEPS * threads) / (await best(() => multiplyAdd(threads / WORKGROUP, 1))),
      bandwidth: (2 * COPIED * copies) / (await best(() => copy(copyGroups, copies))),
    };
  } finally {
    x.destroy();
    y.destroy();
  }
}

/** A kernel ready to run: workgroups and dispatches in, milliseconds out. */
async function probe(
  gpu: GPUDevice,
  file: URL,
  buffers: readonly GPUBuffer[],
): Promise<(workgroups: number, dispatches: number) => Promise<number>> {
  const module = gpu.createShaderModule({ code: await text(file) });
  const pipeline = await gpu.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const group = gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  return async (workgroups, dispatches) => {
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < dispatches; i++) pass.dispatchWorkgroups(workgroups);
    pass.end();
    const start = performance.now();
    gpu.queue.submit([encoder.finish()]);
    await gpu.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
}
