// The device: an adapter opened, its kernels' sources loaded, commands recorded into one open pass, and read back.
// Nothing waits for the device until `read`.

import { openAdapter, text } from '#platform';
import type { ConvVariant } from '../kernels/conv/variants.ts';
import { sources } from '../kernels/index.ts';
import {
  type Constants,
  isShort,
  type Launch,
  MOST_ITERATIONS,
  WORKGROUP,
  workgroupsOf,
} from '../kernels/kernel.ts';
import type { MatmulVariant } from '../kernels/matmul/variants.ts';
import { type DeviceClass, figuresOf, type Profile } from '../kernels/profile.ts';
import { bindings, type Field, fieldsOf, specialise } from '../kernels/source.ts';
import { isSoftwareAdapter } from './adapter-names.ts';
import { DeviceLostError, KernelError, type LimelightError } from './errors.ts';
import { createMemory, forget, type Memory, type Storage } from './memory.ts';
import { createUniforms, fill, type Uniforms, wordsOf } from './uniform.ts';

/** An open device. Made by `openDevice`; everything else takes it from the tensors. */
export interface Device {
  /** Which route led to it: native, gles, swiftshader or browser; dry: none. */
  readonly kind: string;
  /** Vendor and description of the adapter. */
  readonly name: string;
  /** Why this adapter was chosen, one phrase. */
  readonly why: string;
  readonly memory: Memory;
  /** What kernels are chosen by. */
  readonly profile: Profile;
  /** Undefined on a dry device, which computes nothing. */
  readonly commands: Commands | undefined;
}

interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly fields: readonly Field[];
  /** Of the uniform. */
  readonly words: number;
  /** Bind groups by their buffers. The pool gives a repeated computation the same buffers again. */
  readonly groups: Map<string, GPUBindGroup>;
}

/** What is recorded and not yet submitted, and what is kept between submits. */
interface Commands {
  readonly gpu: GPUDevice;
  readonly wgsl: ReadonlyMap<string, string>;
  readonly pipelines: Map<string, Pipeline>;
  readonly uniform: GPUBuffer;
  readonly staging: Uniforms;
  /** Buffers that recorded commands use. */
  readonly touched: Set<GPUBuffer>;
  used: number;
  /** Bind groups kept. */
  groups: number;
  dispatches: number;
  encoder: GPUCommandEncoder | undefined;
  pass: GPUComputePassEncoder | undefined;
  failure: LimelightError | undefined;
  closed: boolean;
  /** Never touched, so that it takes no memory: by it JavaScript knows how much collecting a closed device gives back. */
  readonly ballast: ArrayBuffer;
  /** What hears of refused commands. */
  readonly refused: (event: GPUUncapturedErrorEvent) => void;
}

/** How a device is opened; everything may be left out. */
export interface DeviceOptions {
  /** native, gles or swiftshader; chosen by itself, or by LIMELIGHT_DEVICE, when left out. */
  readonly adapter?: string;
  /** Bytes of GPU memory that may be taken, pool included. Default 2 GiB. */
  readonly memoryBudget?: number;
  /** The class whose choices among kernels it gets; by the adapter when left out. */
  readonly profile?: DeviceClass;
  /** Variants never to be used, to compare others with, or, for winograd, to have the last digit of direct sums. */
  readonly without?: readonly Variant[];
}

/** Variants of convolutions, their weight gradients and matrix products; a name is left out wherever it occurs. */
export type Variant = Exclude<ConvVariant | MatmulVariant, 'naive'>;

/** Bytes of uniforms per submit, and the size bound at each dispatch: no kernel's struct is larger. */
const UNIFORM_BYTES = 1 << 17;
const UNIFORM_BINDING = 512;
/** Dispatches after which recorded work is sent, so that the device starts while more is recorded. */
const DISPATCHES_PER_SUBMIT = 256;

/** About what a driver keeps for a device until it is collected. */
const DRIVER_BYTES = 1 << 22;

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
    Promise.all(
      [...sources].map(
        async ([name, files]) => [name, (await Promise.all(files.map(text))).join('\n')] as const,
      ),
    ),
  ]);
  const { adapter, kind, name, why } = opened;
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const gpu = await adapter.requestDevice({ requiredLimits });
  const commands: Commands = {
    gpu,
    wgsl: new Map(wgsl),
    pipelines: new Map(),
    uniform: gpu.createBuffer({
      size: UNIFORM_BYTES + UNIFORM_BINDING,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    }),
    staging: createUniforms(UNIFORM_BYTES),
    touched: new Set(),
    used: 0,
    groups: 0,
    dispatches: 0,
    encoder: undefined,
    pass: undefined,
    failure: undefined,
    closed: false,
    ballast: new ArrayBuffer(DRIVER_BYTES),
    refused: (event) => {
      event.preventDefault();
      commands.failure ??= new KernelError(`WebGPU refused a command on ${name}: ${event.error.message}`);
    },
  };
  gpu.addEventListener('uncapturederror', commands.refused);
  gpu.lost.then((info) => {
    if (!commands.closed)
      commands.failure = new DeviceLostError(`the device ${name} was lost: ${info.message}`);
  });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const memory = createMemory({
    budget: options.memoryBudget ?? 2 ** 31,
    largest: Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize),
    create: (size) => gpu.createBuffer({ size, usage }),
    settle: () => {
      submit(commands);
      forgetGroups(commands);
    },
  });
  const profile: Profile = {
    class:
      options.profile ?? (adapter.info.isFallbackAdapter || isSoftwareAdapter(name) ? 'software' : 'gpu'),
    limits: { binding: gpu.limits.maxStorageBufferBindingSize, buffer: gpu.limits.maxBufferSize },
    features: gpu.features,
    without: new Set(options.without),
  };
  const device: Device = { kind, name, why, memory, profile, commands };
  open.add(device);
  return device;
}

/**
 * A device that computes nothing: operations on its tensors check their arguments and give shapes alone. For what a
 * network's shapes are before anything is run, at any size, anywhere. Its tensors have no numbers to read.
 */
export function dryDevice(): Device {
  const memory = createMemory({
    budget: Number.POSITIVE_INFINITY,
    largest: Number.POSITIVE_INFINITY,
    create: () => undefined,
    settle: () => {},
  });
  const about = { kind: 'dry', name: 'no device', why: 'shapes alone' };
  const limits = { binding: Number.POSITIVE_INFINITY, buffer: Number.POSITIVE_INFINITY };
  const profile: Profile = { class: 'gpu', limits, features: new Set(), without: new Set() };
  return { ...about, memory, profile, commands: undefined };
}

/** A device that is collected while it computes takes the process with it: kept until it is closed. */
const open = new Set<Device>();

/** Ends the device; every tensor on it becomes unusable. */
export function closeDevice(device: Device): void {
  const { commands, name } = device;
  if (commands === undefined) return;
  commands.closed = true;
  commands.failure = new DeviceLostError(`the device ${name} was closed`);
  commands.gpu.destroy();
  // Dawn keeps its listeners by references that are never collected, and this one leads back to the device.
  commands.gpu.removeEventListener('uncapturederror', commands.refused);
  open.delete(device);
}

/** The WebGPU device, for those who record commands of their own. Throws DeviceLostError on a dry device. */
export function gpuOf({ commands }: Device): GPUDevice {
  if (commands === undefined) throw new DeviceLostError('a dry device has no WebGPU device');
  return commands.gpu;
}

/** Throws what went wrong since the last call: a lost device, a refused command. */
function check(commands: Commands): void {
  const { failure } = commands;
  if (failure === undefined) return;
  if (!(failure instanceof DeviceLostError)) commands.failure = undefined;
  throw failure;
}

/** Records one launch: `inputs` and then `output` are the kernel's storage bindings in order. */
export function run(device: Device, launch: Launch, inputs: readonly Storage[], output: Storage): void {
  const { commands } = device;
  if (commands === undefined) return;
  check(commands);
  if (!isShort(launch)) throw new KernelError(tooLong(launch));
  forget(output);
  if (launch.threads === 0) return; // empty output: nothing to compute
  const { gpu } = commands;
  const { kernel, params, threads, tiled } = launch;
  const size = tiled ? figuresOf(device.profile).tileWorkgroup : WORKGROUP;
  const pipeline = pipelineOf(commands, kernel, launch.constants, size);
  const alignment = gpu.limits.minUniformBufferOffsetAlignment;
  const bytes = Math.ceil((pipeline.words * 4) / alignment) * alignment;
  if (commands.used + bytes > UNIFORM_BYTES || commands.dispatches >= DISPATCHES_PER_SUBMIT) submit(commands);
  fill(commands.staging, commands.used / 4, pipeline.fields, params, kernel);
  commands.encoder ??= gpu.createCommandEncoder({ label: 'limelight' });
  commands.pass ??= commands.encoder.beginComputePass();
  const group = groupOf(commands, pipeline, kernel, [...inputs, output]);
  commands.pass.setPipeline(pipeline.pipeline);
  commands.pass.setBindGroup(0, group, [commands.used]);
  commands.pass.dispatchWorkgroups(...workgroupsOf(threads, size));
  commands.used += bytes;
  commands.dispatches++;
}

const tooLong = ({ kernel, iterations }: Launch): string =>
  `${kernel}: a thread would go through its loops ${iterations} times; some drivers stop at ${MOST_ITERATIONS} without ` +
  'an error, and so it is refused. Use smaller sizes along the axes that are summed';

/** Bind groups kept at most: enough for a large network, little beside its buffers. */
const MOST_GROUPS = 4096;

function groupOf(
  commands: Commands,
  { layout, groups }: Pipeline,
  label: string,
  storages: readonly Storage[],
): GPUBindGroup {
  let key = '';
  for (const { buffer, number } of storages) {
    commands.touched.add(buffer!);
    key += `${number} `;
  }
  const known = groups.get(key);
  if (known) return known;
  const uniform = { binding: 0, resource: { buffer: commands.uniform, size: UNIFORM_BINDING } };
  const entries = storages.map(({ buffer }, i) => ({ binding: i + 1, resource: { buffer: buffer! } }));
  const made = commands.gpu.createBindGroup({ label, layout, entries: [uniform, ...entries] });
  if (commands.groups++ >= MOST_GROUPS) forgetGroups(commands);
  groups.set(key, made);
  return made;
}

/** Lets go of bind groups, also of those whose buffers were destroyed. */
function forgetGroups(commands: Commands): void {
  for (const { groups } of commands.pipelines.values()) groups.clear();
  commands.groups = 0;
}

function pipelineOf(commands: Commands, kernel: string, constants: Constants, workgroup: number): Pipeline {
  const { gpu, wgsl: sourceTexts, pipelines } = commands;
  let key = `${kernel} ${workgroup}`;
  for (const name in constants) key += ` ${name},${constants[name]}`;
  const known = pipelines.get(key);
  if (known) return known;
  const wgsl = sourceTexts.get(kernel);
  if (wgsl === undefined) throw new KernelError(`no kernel is named ${kernel}`);
  const code = specialise(wgsl, { ...constants, WORKGROUP: workgroup });
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
  const fields = fieldsOf(wgsl);
  const made = { pipeline, layout, fields, words: wordsOf(fields), groups: new Map() };
  pipelines.set(key, made);
  return made;
}

/** Sends what is recorded. */
export function flush(device: Device): void {
  if (device.commands) submit(device.commands);
}

function submit(commands: Commands): void {
  const { gpu } = commands;
  if (commands.encoder === undefined) return;
  commands.pass?.end();
  // Written once a submit, before it: writes are ordered with submits, not with recording.
  if (commands.used > 0)
    gpu.queue.writeBuffer(commands.uniform, 0, commands.staging.u32, 0, commands.used / 4);
  gpu.queue.submit([commands.encoder.finish()]);
  commands.encoder = undefined;
  commands.pass = undefined;
  commands.touched.clear();
  commands.used = 0;
  commands.dispatches = 0;
}

/** Copies host data into a storage. */
export function write(
  device: Device,
  storage: Storage,
  data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): void {
  const { commands } = device;
  if (commands === undefined) {
    // What indices say is asked of a dry run too: which elements are moved where.
    storage.host = { bytes: data.buffer };
    return;
  }
  check(commands);
  forget(storage);
  // A pooled buffer may still be read by recorded commands, and a write would overtake them.
  if (commands.touched.has(storage.buffer!)) submit(commands);
  if (data.byteLength > 0) commands.gpu.queue.writeBuffer(storage.buffer!, 0, data);
}

/** Some of a storage: its first `bytes`. */
export interface Piece {
  readonly storage: Storage;
  readonly bytes: number;
}

/** Several storages' bytes in one go, once everything recorded before has run: a wait costs more than what is read. */
export async function read(device: Device, pieces: readonly Piece[]): Promise<ArrayBuffer[]> {
  const { commands, name } = device;
  if (commands === undefined)
    throw new DeviceLostError('a tensor of a dry device has a shape and no numbers');
  check(commands);
  let size = 0;
  const places = pieces.map(({ storage, bytes }) => {
    const start = size;
    size += bytes;
    return { storage, bytes, start };
  });
  if (size === 0) return pieces.map(() => new ArrayBuffer(0));
  const { gpu } = commands;
  const target = gpu.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  try {
    commands.pass?.end();
    commands.pass = undefined;
    commands.encoder ??= gpu.createCommandEncoder({ label: 'limelight' });
    for (const { storage, bytes, start } of places) {
      if (bytes > 0) commands.encoder.copyBufferToBuffer(storage.buffer!, 0, target, start, bytes);
    }
    submit(commands);
    await target.mapAsync(GPUMapMode.READ).catch((cause: unknown) => {
      check(commands);
      throw new KernelError(`reading from ${name} failed: ${String(cause)}`, { cause });
    });
    check(commands);
    const mapped = target.getMappedRange();
    return places.map(({ start, bytes }) => mapped.slice(start, start + bytes));
  } finally {
    target.destroy();
  }
}
