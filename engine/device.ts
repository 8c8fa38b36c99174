// The device: an adapter opened, its kernels' sources loaded, commands recorded into one open pass, and read back.
// Nothing waits for the device until `read`.

import { openAdapter, text } from '#platform';
import { sources } from '../kernels/index.ts';
import type { Launch } from '../kernels/kernel.ts';
import { bindings, specialise } from '../kernels/source.ts';
import { DeviceLostError, KernelError, type LimelightError } from './errors.ts';
import { createMemory, type Memory, type Storage } from './memory.ts';

/** An open device. Made by `openDevice`; everything else takes it from the tensors. */
export interface Device {
  readonly gpu: GPUDevice;
  /** Which route led to it: native, gles, swiftshader or browser. */
  readonly kind: string;
  /** Vendor and description of the adapter. */
  readonly name: string;
  /** Why this adapter was chosen, one phrase. */
  readonly why: string;
  readonly memory: Memory;
  readonly state: CommandState;
}

interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** What is recorded and not yet submitted, and what is kept between submits. */
interface CommandState {
  readonly wgsl: ReadonlyMap<string, string>;
  readonly pipelines: Map<string, Pipeline>;
  readonly uniform: GPUBuffer;
  readonly staging: Uint32Array<ArrayBuffer>;
  used: number;
  dispatches: number;
  encoder: GPUCommandEncoder | undefined;
  pass: GPUComputePassEncoder | undefined;
  failure: LimelightError | undefined;
  closed: boolean;
}

export interface DeviceOptions {
  /** native, gles or swiftshader; chosen by itself, or by LIMELIGHT_DEVICE, when left out. */
  readonly adapter?: string;
  /** Bytes of GPU memory that may be taken, pool included. Default 2 GiB. */
  readonly memoryBudget?: number;
}

/** Bytes of uniforms per submit, and the size bound at each dispatch: no kernel's struct is larger. */
const UNIFORM_BYTES = 1 << 17;
const UNIFORM_BINDING = 512;
/** Dispatches after which recorded work is sent, so that the device starts while more is recorded. */
const DISPATCHES_PER_SUBMIT = 256;

const WANTED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/** Opens a device and loads the kernels. Throws NoDeviceError when there is none. */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  const [opened, wgsl] = await Promise.all([
    openAdapter(options.adapter),
    Promise.all(Object.entries(sources).map(async ([name, url]) => [name, await text(url)] as const)),
  ]);
  const { adapter, kind, name, why } = opened;
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const gpu = await adapter.requestDevice({ requiredLimits });
  const state: CommandState = {
    wgsl: new Map(wgsl),
    pipelines: new Map(),
    uniform: gpu.createBuffer({
      size: UNIFORM_BYTES + UNIFORM_BINDING,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    }),
    staging: new Uint32Array(UNIFORM_BYTES / 4),
    used: 0,
    dispatches: 0,
    encoder: undefined,
    pass: undefined,
    failure: undefined,
    closed: false,
  };
  gpu.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    state.failure ??= new KernelError(`WebGPU refused a command on ${name}: ${event.error.message}`);
  });
  gpu.lost.then((info) => {
    if (!state.closed) state.failure = new DeviceLostError(`the device ${name} was lost: ${info.message}`);
  });
  const memory = createMemory(gpu, options.memoryBudget ?? 2 ** 31, () => submit(gpu, state));
  const device: Device = { gpu, kind, name, why, memory, state };
  opens.push(opened, device);
  return device;
}

/** A GPU object that is collected while its device lives takes the process with it: keep them all. */
const opens: unknown[] = [];

/** Ends the device; every tensor on it becomes unusable. */
export function closeDevice(device: Device): void {
  device.state.closed = true;
  device.state.failure = new DeviceLostError(`the device ${device.name} was closed`);
  device.gpu.destroy();
}

/** Throws what went wrong since the last call: a lost device, a refused command. */
export function check(device: Device): void {
  const { failure } = device.state;
  if (failure === undefined) return;
  if (!(failure instanceof DeviceLostError)) device.state.failure = undefined;
  throw failure;
}

/** Records one launch: `inputs` and then `output` are the kernel's storage bindings in order. */
export function run(device: Device, launch: Launch, inputs: readonly Storage[], output: Storage): void {
  check(device);
  const { gpu, state } = device;
  const [x, y] = launch.workgroups;
  if (x === 0 || y === 0) return; // empty output: nothing to compute
  const alignment = gpu.limits.minUniformBufferOffsetAlignment;
  const bytes = Math.ceil((launch.params.length * 4) / alignment) * alignment;
  if (state.used + bytes > UNIFORM_BYTES || state.dispatches >= DISPATCHES_PER_SUBMIT) submit(gpu, state);
  const { pipeline, layout } = pipelineOf(device, launch);
  state.encoder ??= gpu.createCommandEncoder({ label: 'limelight' });
  state.pass ??= state.encoder.beginComputePass();
  state.staging.set(launch.params, state.used / 4);
  const storages = [...inputs, output].map((storage, i) => ({
    binding: i + 1,
    resource: { buffer: storage.buffer },
  }));
  const group = gpu.createBindGroup({
    label: launch.kernel,
    layout,
    entries: [{ binding: 0, resource: { buffer: state.uniform, size: UNIFORM_BINDING } }, ...storages],
  });
  state.pass.setPipeline(pipeline);
  state.pass.setBindGroup(0, group, [state.used]);
  state.pass.dispatchWorkgroups(x, y);
  state.used += bytes;
  state.dispatches++;
}

function pipelineOf(device: Device, { kernel, constants }: Launch): Pipeline {
  const { gpu, state } = device;
  const key = `${kernel} ${JSON.stringify(constants)}`;
  const known = state.pipelines.get(key);
  if (known) return known;
  const wgsl = state.wgsl.get(kernel);
  if (wgsl === undefined) throw new KernelError(`no kernel is named ${kernel}`);
  const code = specialise(wgsl, constants);
  const layout = gpu.createBindGroupLayout({
    label: key,
    entries: [
      { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
      ...bindings(wgsl).map((access, i) => ({
        binding: i + 1,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const) },
      })),
    ],
  });
  const module = gpu.createShaderModule({ label: key, code });
  const pipeline = gpu.createComputePipeline({
    label: key,
    layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main' },
  });
  const made = { pipeline, layout };
  state.pipelines.set(key, made);
  return made;
}

/** Sends what is recorded. */
export function flush(device: Device): void {
  submit(device.gpu, device.state);
}

function submit(gpu: GPUDevice, state: CommandState): void {
  if (state.encoder === undefined) return;
  state.pass?.end();
  // Written once a submit, before it: writes are ordered with submits, not with recording.
  if (state.used > 0) gpu.queue.writeBuffer(state.uniform, 0, state.staging, 0, state.used / 4);
  gpu.queue.submit([state.encoder.finish()]);
  state.encoder = undefined;
  state.pass = undefined;
  state.used = 0;
  state.dispatches = 0;
}

/** Copies host data into a storage. */
export function write(
  device: Device,
  storage: Storage,
  data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): void {
  check(device);
  // A pooled buffer may still be read by recorded commands, and a write would overtake them.
  flush(device);
  if (data.byteLength > 0) device.gpu.queue.writeBuffer(storage.buffer, 0, data);
}

/** The first `bytes` of a storage, once everything recorded before has run. */
export async function read(device: Device, storage: Storage, bytes: number): Promise<ArrayBuffer> {
  check(device);
  if (bytes === 0) return new ArrayBuffer(0);
  const { gpu, state } = device;
  const target = gpu.createBuffer({ size: bytes, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  try {
    state.pass?.end();
    state.pass = undefined;
    state.encoder ??= gpu.createCommandEncoder({ label: 'limelight' });
    state.encoder.copyBufferToBuffer(storage.buffer, 0, target, 0, bytes);
    flush(device);
    await target.mapAsync(GPUMapMode.READ).catch((cause: unknown) => {
      check(device);
      throw new KernelError(`reading from ${device.name} failed: ${String(cause)}`, { cause });
    });
    check(device);
    return target.getMappedRange().slice(0);
  } finally {
    target.destroy();
  }
}
