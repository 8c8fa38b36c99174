// ONNX Runtime: onnxruntime-web on WebGPU, and onnxruntime-node on the processor. Both run files, so kernels are given
// to it as files of one node.

import { cpus } from 'node:os';
import { networkInput, onnxFile } from '../networks.node.ts';
import { bytesOf, load, versionOf } from '../peers/load.node.ts';
import { inputsOf, type KernelProblem, type Problem } from '../problems.ts';
import { installNavigator } from './dawn.node.ts';
import { type Engine, type Prepared, Unsupported } from './engine.ts';
import { onnxModel } from './onnx-model.ts';

interface OrtTensor {
  getData(releases?: boolean): Promise<Float32Array>;
  dispose(): void;
}
interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

/** What is used of onnxruntime-web and onnxruntime-node. */
interface Ort {
  readonly env: {
    logLevel: string;
    wasm: { numThreads: number; wasmBinary: ArrayBuffer };
    webgpu: { device: Promise<GPUDevice> };
  };
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: {
    new (type: 'float32', data: Float32Array, shape: readonly number[]): OrtTensor;
    fromGpuBuffer(buffer: GPUBuffer, options: { dataType: 'float32'; dims: readonly number[] }): OrtTensor;
  };
}

const WEB = 'onnxruntime-web';

export async function openOrtWeb(): Promise<Engine> {
  const adapter = await installNavigator();
  copySharedWrites();
  const ort = await load<Ort>(WEB, 'dist/ort.webgpu.bundle.min.mjs');
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmBinary = (await bytesOf(WEB, 'dist/ort-wasm-simd-threaded.asyncify.wasm')).buffer;
  return {
    adapter,
    version: await versionOf(WEB),
    prepare: (problem) =>
      'network' in problem
        ? prepareNetwork(ort, problem, { executionProviders: ['webgpu'] })
        : prepareOnDevice(ort, problem),
  };
}

export async function openOrtNode(): Promise<Engine> {
  // Waiting threads would spin, beside the other engines' rounds.
  const extra = { session: { intra_op: { allow_spinning: '0' } } };
  const options = { intraOpNumThreads: cpus().length, logSeverityLevel: 3, extra };
  const ort = await load<Ort>('onnxruntime-node', 'dist/index.js');
  return {
    adapter: `the processor, ${cpus().length} threads`,
    version: await versionOf('onnxruntime-node'),
    prepare: (problem) =>
      'network' in problem ? prepareNetwork(ort, problem, options) : prepareOnHost(ort, problem, options),
  };
}

/** The runtime's memory is shared, which Dawn's `writeBuffer` refuses: give it a copy. */
function copySharedWrites(): void {
  const write = GPUQueue.prototype.writeBuffer;
  GPUQueue.prototype.writeBuffer = function (this: GPUQueue, buffer, offset, source, from = 0, count) {
    const view = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
    const unit =
      ArrayBuffer.isView(source) && 'BYTES_PER_ELEMENT' in source ? Number(source.BYTES_PER_ELEMENT) : 1;
    const start = from * unit;
    const end = count === undefined ? view.length : start + count * unit;
    write.call(this, buffer, offset, Uint8Array.from(view.subarray(start, end)));
    return undefined;
  };
}

/** Inputs and results stay on the device; the last result is read. */
async function prepareOnDevice(ort: Ort, problem: KernelProblem): Promise<Prepared> {
  const { x, w } = inputsOf(problem);
  const session = await ort.InferenceSession.create(onnxModel(problem, w), {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
  });
  const device = await ort.env.webgpu.device;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: x.data.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, x.data);
  const feeds = { x: ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: x.shape }) };
  return {
    async run(times) {
      for (let i = 1; i < times; i++) (await session.run(feeds)).y!.dispose();
      return (await session.run(feeds)).y!.getData(true);
    },
    dispose() {
      void session.release();
      buffer.destroy();
    },
  };
}

async function prepareOnHost(ort: Ort, problem: KernelProblem, options: object): Promise<Prepared> {
  const { x, w } = inputsOf(problem);
  const session = await ort.InferenceSession.create(onnxModel(problem, w), options);
  return onHost(session, { x: new ort.Tensor('float32', x.data, x.shape) }, 'y');
}

async function prepareNetwork(
  ort: Ort,
  problem: Exclude<Problem, KernelProblem>,
  options: object,
): Promise<Prepared> {
  if (problem.op !== 'forward') throw new Unsupported('differentiating');
  const session = await ort.InferenceSession.create(await onnxFile(problem.network), options);
  const { data, shape } = networkInput(problem.network, problem.batch);
  const feeds = { [session.inputNames[0]!]: new ort.Tensor('float32', data, shape) };
  return onHost(session, feeds, session.outputNames[0]!);
}

const onHost = (session: Session, feeds: Record<string, OrtTensor>, output: string): Prepared => ({
  async run(times) {
    for (let i = 1; i < times; i++) await session.run(feeds);
    return (await session.run(feeds))[output]!.getData();
  },
  dispose: () => void session.release(),
});
