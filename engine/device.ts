// The device: an adapter opened, its kernels' sources loaded, commands recorded into one open pass, and read back.
// Nothing waits for the device until `read`.

import { availableMemory, openAdapter, quietly, text } from '#platform';
import type { ConvVariant } from '../kernels/conv/variants.ts';
import { sources } from '../kernels/index.ts';
import { type Constants, isShort, type Launch, MOST_ITERATIONS, workgroupsOf } from '../kernels/kernel.ts';
import type { MatmulVariant } from '../kernels/matmul/variants.ts';
import { type DeviceClass, figuresOf, type Profile } from '../kernels/profile.ts';
import { bindings, type Field, fieldsOf, specialise, withHalves } from '../kernels/source.ts';
import { isSoftwareAdapter } from './adapter-names.ts';
import {
  DeviceLostError,
  KernelError,
  type LimelightError,
  MemoryBudgetError,
  MixedDevicesError,
} from './errors.ts';
import { createMemory, forget, type Memory, megabytes, type Storage } from './memory.ts';
import type { Available } from './platform/interface.ts';
import { keptTuning } from './tuning.ts';
import { createUniforms, fill, type Uniforms, wordsOf } from './uniform.ts';

/** An open device. Made by `openDevice`; everything else takes it from the tensors. */
export interface Device {
  /** Which route led to it: native, gles, swiftshader or browser; dry: none. */
  readonly kind: string;
  /** Vendor and description of the adapter. */
  readonly name: string;
  /** Why this adapter was chosen, and whether `tune` measured it, in a phrase. */
  readonly why: string;
  readonly memory: Memory;
  /** How weights of networks are stored. */
  readonly precision: Precision;
  /** What kernels are chosen by. */
  readonly profile: Profile;
  /** Undefined on a dry device, which computes nothing. */
  readonly commands: Commands | undefined;
}

interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Storage bindings: inputs, then the output. */
  readonly bindings: number;
  readonly fields: readonly Field[];
  /** Size of the uniform, in 32-bit words. */
  readonly words: number;
  /** Bind groups by their buffers. The pool gives a repeated computation the same buffers again. */
  readonly groups: Map<string, GPUBindGroup>;
}

/** What is recorded and not yet submitted, and what is kept between submits. */
interface Commands {
  readonly gpu: GPUDevice;
  readonly memory: Memory;
  readonly wgsl: Map<string, string>;
  readonly pipelines: Map<string, Pipeline>;
  /** Milliseconds that making pipelines has taken. */
  compiling: number;
  readonly uniform: GPUBuffer;
  readonly staging: Uniforms;
  /** Buffers that recorded commands use. */
  readonly touched: Set<GPUBuffer>;
  /** Free buffers through which results are read, the last used at the end. */
  readonly readbacks: GPUBuffer[];
  used: number;
  /** Bind groups kept. */
  groups: number;
  dispatches: number;
  encoder: GPUCommandEncoder | undefined;
  pass: GPUComputePassEncoder | undefined;
  /** What the next call throws: the device was lost, or ran out of memory. */
  failure: LimelightError | undefined;
  closed: boolean;
  /** Never touched, so that it takes no memory: by it JavaScript knows how much collecting a closed device gives back. */
  readonly ballast: ArrayBuffer;
  /** Called with failures that happen outside commands, such as a lack of memory. */
  readonly failed: (event: GPUUncapturedErrorEvent) => void;
  /** Submits so far. */
  epoch: number;
  /** Commands that WebGPU refused. */
  readonly refusals: Refusal[];
  /** Settled once WebGPU has judged every submit so far. */
  judged: Promise<void>;
}

/**
 * A command that WebGPU refused, and with it the submit that it was part of. WebGPU says so late: what was written since,
 * up to the submit `to`, may have been made of what that submit did not write.
 */
interface Refusal {
  readonly from: number;
  readonly to: number;
  readonly error: KernelError;
}

/** How a device is opened; everything may be left out. */
export interface DeviceOptions {
  /** native, gles or swiftshader; chosen by itself, or by LIMELIGHT_DEVICE, when left out. */
  readonly adapter?: string;
  /** Bytes that tensors may take, pool included. Default 2 GiB, or 40 % of the free memory where that is less. */
  readonly memoryBudget?: number;
  /** The class whose choices among kernels it gets; by the adapter when left out. */
  readonly profile?: DeviceClass;
  /**
   * How weights of networks are stored, by default as f32. As f16 they take half the memory, and half as much is read; sums,
   * feature maps and derivatives stay f32, so that all differences of scores are those of the network with these weights.
   */
  readonly precision?: Precision;
  /** false: not to use what `tune` measured on this machine. */
  readonly tuned?: boolean;
  /** Shows what drivers print by themselves. */
  readonly verbose?: boolean;
  /** Variants never to be used, to compare others with, or, for winograd, to have the last digit of direct sums. */
  readonly without?: readonly Variant[];
}

/** Half precision is IEEE 754's binary16: eleven binary digits, at most 65,504. */
export type Precision = 'f32' | 'f16';

/** Variants of convolutions, their weight gradients and matrix products; a name is left out wherever it occurs. */
export type Variant = Exclude<ConvVariant | MatmulVariant, 'naive'>;

/** Bytes of uniforms per submit, and the size bound at each dispatch: no kernel's struct is larger. */
const UNIFORM_BYTES = 1 << 17;
const UNIFORM_BINDING = 512;
/** Dispatches after which recorded work is sent, so that the device starts while more is recorded. */
const DISPATCHES_PER_SUBMIT = 256;

/**
 * What JavaScript is told that a device takes, 16 times what drivers keep for one until it is collected: by the true
 * figure hundreds of closed devices waited to be collected (Mesa's together took 370 MB; so 50).
 */
const DRIVER_BYTES = 1 << 26;

const WANTED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/**
 * Opens a device and loads the kernels. Throws NoDeviceError when there is none, MemoryBudgetError where hardly any memory
 * is free. What drivers print meanwhile is not shown: where the error stream is a terminal or a pipe, it leads nowhere
 * until the device is open, for processes that are started meanwhile too; what JavaScript writes to it comes then.
 */
export const openDevice = (options: DeviceOptions = {}): Promise<Device> =>
  options.verbose ? openLoud(options) : quietly(() => openLoud(options));

async function openLoud(options: DeviceOptions): Promise<Device> {
  freeMemory();
  const { adapter, kind, name, why: chosen } = await openAdapter(options.adapter);
  const wgsl = new Map<string, string>();
  // One after the other, for processes that may open few files.
  for (const [kernel, files] of sources) wgsl.set(kernel, (await Promise.all(files.map(textOf))).join('\n'));
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const bounds = budgetOf(options.memoryBudget);
  const gpu = await adapter.requestDevice({ requiredLimits });
  const kept = options.tuned === false ? undefined : await keptTuning({ adapter: name, kernels: wgsl });
  const tuning = typeof kept === 'string' ? undefined : kept;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const memory = createMemory({
    ...bounds,
    largest: gpu.limits.maxBufferSize,
    binding: Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize),
    create: (size) => gpu.createBuffer({ size, usage }),
    settle: () => {
      submit(commands);
      forgetGroups(commands);
      return gpu.queue.onSubmittedWorkDone().catch(() => {});
    },
  });
  const commands: Commands = {
    gpu,
    memory,
    wgsl,
    pipelines: new Map(),
    compiling: 0,
    uniform: gpu.createBuffer({
      size: UNIFORM_BYTES + UNIFORM_BINDING,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    }),
    staging: createUniforms(UNIFORM_BYTES),
    touched: new Set(),
    readbacks: [],
    used: 0,
    groups: 0,
    dispatches: 0,
    encoder: undefined,
    pass: undefined,
    failure: undefined,
    closed: false,
    epoch: 0,
    refusals: [],
    judged: Promise.resolve(),
    ballast: new ArrayBuffer(DRIVER_BYTES),
    failed: (event) => {
      event.preventDefault();
      commands.failure ??= new KernelError(`WebGPU failed on ${name}: ${event.error.message}`);
    },
  };
  gpu.addEventListener('uncapturederror', commands.failed);
  gpu.lost.then((info) => {
    if (!commands.closed)
      commands.failure = new DeviceLostError(
        `the device ${name} was lost${info.message ? `: ${info.message}` : ''}. Everything on it is gone: open another with ` +
          'openDevice() and load the network there; if it is lost again at the same place, take a smaller input',
      );
  });
  const usual = adapter.info?.isFallbackAdapter || isSoftwareAdapter(name) ? 'software' : 'gpu';
  const of = options.profile ?? tuning?.class ?? usual;
  const isTuned = tuning?.class === of;
  const why = [chosen, ...(isTuned ? ['tuned'] : typeof kept === 'string' ? [kept] : [])].join('; ');
  const profile: Profile = {
    class: of,
    ...(isTuned && { tuned: tuning.figures }),
    limits: { binding: memory.binding, buffer: memory.largest },
    features: gpu.features,
    without: new Set(options.without),
  };
  const { precision = 'f32' } = options;
  const device: Device = { kind, name, why, memory, precision, profile, commands };
  open.add(device);
  return device;
}

const textOf = (file: URL | string) => (typeof file === 'string' ? file : text(file));

/** Bytes that tensors may take unless told, where there is as much. */
const DEFAULT_BUDGET = 2 ** 31;
/**
 * The shares of free memory that tensors may take, without and with what the device has not given back yet. The rest is for
 * files, pictures, what kernels are compiled to, and what allocators lose between their blocks: measured on llvmpipe, up
 * to as much as tensors take.
 */
const [SHARE, CEILING] = [0.4, 0.6];

/** Bytes that a driver and what it compiles are sure to take: where they are not free, it ends the process. */
const LEAST_FREE = 2 ** 27;

/** What is free; throws MemoryBudgetError where that is too little for a device. */
function freeMemory(): Available | undefined {
  const available = availableMemory();
  if (available !== undefined && available.bytes < LEAST_FREE)
    throw new MemoryBudgetError(
      `openDevice: ${available.by} leaves ${megabytes(available.bytes)}, and a device takes ${megabytes(LEAST_FREE)} or ` +
        'more besides tensors; give this process more memory',
    );
  return available;
}

/** What tensors may take, and why not more. */
function budgetOf(asked: number | undefined): Pick<Memory, 'budget' | 'bound' | 'ceiling'> {
  const available = freeMemory();
  const free = available?.bytes ?? Number.POSITIVE_INFINITY;
  const share = Math.floor(SHARE * free);
  const budget = asked ?? Math.min(share, DEFAULT_BUDGET);
  const ceiling = Math.max(budget, Math.floor(CEILING * free));
  if (asked !== undefined) return { budget, bound: 'as memoryBudget says', ceiling };
  if (available === undefined || share >= DEFAULT_BUDGET) return { budget, bound: 'the default', ceiling };
  const bound = `${100 * SHARE} % of what ${available.by} left when the device was opened`;
  return { budget, bound, ceiling };
}

/**
 * A device that computes nothing: operations on its tensors check their arguments and give shapes alone. For what a
 * network's shapes are before anything is run, at any size, anywhere. Its tensors have no numbers to read.
 */
export function dryDevice(): Device {
  const memory = createMemory({
    budget: Number.POSITIVE_INFINITY,
    bound: 'none',
    ceiling: Number.POSITIVE_INFINITY,
    largest: Number.POSITIVE_INFINITY,
    binding: Number.POSITIVE_INFINITY,
    create: () => undefined,
    settle: async () => {},
  });
  const about = { kind: 'dry', name: 'no device', why: 'shapes alone' };
  const limits = { binding: Number.POSITIVE_INFINITY, buffer: Number.POSITIVE_INFINITY };
  const profile: Profile = { class: 'gpu', limits, features: new Set(), without: new Set() };
  return { ...about, memory, precision: 'f32', profile, commands: undefined };
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
  commands.gpu.removeEventListener('uncapturederror', commands.failed);
  open.delete(device);
}

/** Milliseconds that compiling shaders has taken on a device so far; drivers may put a part off to the first launch. */
export const compilingTime = ({ commands }: Device): number => commands?.compiling ?? 0;

/** What a device computes with. Throws DeviceLostError on a dry one. */
export function commandsOf({ commands }: Device): Commands {
  if (commands === undefined) throw new DeviceLostError('a dry device has no WebGPU device');
  return commands;
}

/** The WebGPU device, for those who record commands of their own. Throws DeviceLostError on a dry device. */
export const gpuOf = (device: Device): GPUDevice => commandsOf(device).gpu;

/** Gives a device the WGSL of a kernel that the table of kernels/ lacks, for launches that name it. */
export function addKernel(device: Device, name: string, wgsl: string): void {
  commandsOf(device).wgsl.set(name, wgsl);
}

/** Throws what went wrong since the last call. */
function check(commands: Commands): void {
  const { failure } = commands;
  if (failure === undefined) return;
  if (!(failure instanceof DeviceLostError)) commands.failure = undefined;
  throw failure;
}

/** Throws where a storage was written by a submit that was refused, or made of what such a submit should have written. */
function checkWritten({ refusals }: Commands, storages: readonly Storage[]): void {
  for (const { from, to, error } of refusals) {
    if (storages.some(({ epoch }) => epoch >= from && epoch <= to)) throw error;
  }
}

/** Records one launch: `inputs` and then `output` are the kernel's storage bindings in order. */
export function run(device: Device, launch: Launch, inputs: readonly Storage[], output: Storage): void {
  const { commands } = device;
  const storages = [...inputs, output];
  if (storages.some(({ memory }) => memory !== device.memory))
    throw new MixedDevicesError(`${launch.kernel}: a buffer is not of the device ${device.name}`);
  if (commands === undefined) return;
  check(commands);
  if (!isShort(launch)) throw new KernelError(tooLong(launch));
  checkWritten(commands, inputs);
  forget(output);
  if (launch.threads === 0) return; // empty output: nothing to compute
  const { gpu } = commands;
  const { kernel, params, threads } = launch;
  const size = launch.workgroup ?? figuresOf(device.profile).tileWorkgroup;
  const workgroups = workgroupsOf(threads, size);
  if (workgroups[1] > gpu.limits.maxComputeWorkgroupsPerDimension)
    throw new KernelError(`${kernel}: ${threads} threads are more than can be started at once`);
  encoderOf(commands);
  const halves = inputs.flatMap(({ isHalf }, i) => (isHalf ? [i + 1] : []));
  const pipeline = pipelineOf(commands, kernel, launch.constants, size, halves);
  if (pipeline.bindings !== storages.length)
    throw new KernelError(
      `${kernel}: given ${storages.length} buffers, it has ${pipeline.bindings} bindings`,
    );
  const alignment = gpu.limits.minUniformBufferOffsetAlignment;
  const bytes = Math.ceil((pipeline.words * 4) / alignment) * alignment;
  if (commands.used + bytes > UNIFORM_BYTES || commands.dispatches >= DISPATCHES_PER_SUBMIT) submit(commands);
  fill(commands.staging, commands.used / 4, pipeline.fields, params, kernel);
  const encoder = encoderOf(commands);
  commands.pass ??= encoder.beginComputePass();
  const group = groupOf(commands, pipeline, kernel, storages);
  commands.pass.setPipeline(pipeline.pipeline);
  commands.pass.setBindGroup(0, group, [commands.used]);
  commands.pass.dispatchWorkgroups(...workgroups);
  output.epoch = commands.epoch;
  commands.used += bytes;
  commands.dispatches++;
}

/** Records a copy of `bytes` from the beginning of a storage to `start` in another; both are whole 4 bytes. */
export function copy(device: Device, from: Storage, to: Storage, start: number, bytes: number): void {
  const { commands } = device;
  if (commands === undefined || bytes === 0) return;
  check(commands);
  checkWritten(commands, [from]);
  forget(to);
  const encoder = encoderOf(commands);
  commands.pass?.end();
  commands.pass = undefined;
  encoder.copyBufferToBuffer(from.buffer!, from.offset, to.buffer!, to.offset + start, bytes);
  commands.touched.add(from.buffer!).add(to.buffer!);
  to.epoch = commands.epoch;
}

const tooLong = ({ kernel, iterations }: Launch): string =>
  `${kernel}: a thread would go through its loops ${iterations} times; some drivers stop at ${MOST_ITERATIONS} without ` +
  'an error, and so it is refused. Use smaller sizes along the axes that are summed';

/** Bind groups kept at most: enough for a large network, and little compared with its buffers. */
const MOST_GROUPS = 4096;

function groupOf(
  commands: Commands,
  { layout, groups }: Pipeline,
  label: string,
  storages: readonly Storage[],
): GPUBindGroup {
  let key = '';
  for (const { buffer, number, offset, size } of storages) {
    commands.touched.add(buffer!);
    key += `${number} ${offset} ${size} `;
  }
  const found = groups.get(key);
  if (found) return found;
  const uniform = { binding: 0, resource: { buffer: commands.uniform, size: UNIFORM_BINDING } };
  const entries = storages.map(({ buffer, offset, size }, i) => ({
    binding: i + 1,
    resource: { buffer: buffer!, offset, size },
  }));
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

function pipelineOf(
  commands: Commands,
  kernel: string,
  constants: Constants,
  workgroup: number,
  halves: readonly number[],
): Pipeline {
  const { gpu, wgsl: sourceTexts, pipelines } = commands;
  let key = `${kernel} ${workgroup}`;
  if (halves.length > 0) key += ` halves ${halves}`;
  for (const name in constants) key += ` ${name},${constants[name]}`;
  const found = pipelines.get(key);
  if (found) return found;
  const wgsl = sourceTexts.get(kernel);
  if (wgsl === undefined) throw new KernelError(`no kernel is named ${kernel}`);
  const started = performance.now();
  const code = specialise(withHalves(wgsl, halves), { ...constants, WORKGROUP: workgroup });
  const storages = bindings(wgsl);
  const layout = gpu.createBindGroupLayout({
    label: key,
    entries: [
      { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
      ...storages.map((access, i) => ({
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
  const made = {
    pipeline,
    layout,
    bindings: storages.length,
    fields,
    words: wordsOf(fields),
    groups: new Map(),
  };
  pipelines.set(key, made);
  commands.compiling += performance.now() - started;
  return made;
}

/** Sends what is recorded. */
export function flush(device: Device): void {
  if (device.commands) submit(device.commands);
}

/** The encoder of what is recorded next. */
function encoderOf(commands: Commands): GPUCommandEncoder {
  if (commands.encoder === undefined) {
    // Its errors, those of what is made for it included, come out where it is submitted.
    commands.gpu.pushErrorScope('validation');
    commands.encoder = commands.gpu.createCommandEncoder({ label: 'limelight' });
  }
  return commands.encoder;
}

function submit(commands: Commands): void {
  const { gpu } = commands;
  if (commands.encoder === undefined) return;
  commands.pass?.end();
  // Written once a submit, before it: writes are ordered with submits, not with recording.
  if (commands.used > 0)
    gpu.queue.writeBuffer(commands.uniform, 0, commands.staging.u32, 0, commands.used / 4);
  gpu.queue.submit([commands.encoder.finish()]);
  const from = commands.epoch++;
  const verdict = gpu.popErrorScope().then((error) => {
    if (error !== null) refuse(commands, from, error.message);
  });
  commands.judged = Promise.all([commands.judged, verdict.catch(() => {})]).then(() => {});
  commands.encoder = undefined;
  commands.pass = undefined;
  commands.touched.clear();
  commands.used = 0;
  commands.dispatches = 0;
}

/** Notes a refused submit, and empties the caches of what may have been made in it. */
function refuse(commands: Commands, from: number, message: string): void {
  const error = new KernelError(`WebGPU refused a command: ${message}`);
  commands.refusals.push({ from, to: commands.epoch, error });
  commands.pipelines.clear();
  commands.groups = 0;
  for (const storage of commands.memory.copied) forget(storage);
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
  storage.epoch = -1;
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
  const target = takeReadback(commands, size);
  try {
    commands.pass?.end();
    commands.pass = undefined;
    const encoder = encoderOf(commands);
    for (const { storage, bytes, start } of places) {
      if (bytes > 0) encoder.copyBufferToBuffer(storage.buffer!, storage.offset, target, start, bytes);
    }
    const { epoch } = commands;
    submit(commands);
    await target.mapAsync(GPUMapMode.READ, 0, mappable(size)).catch((cause: unknown) => {
      check(commands);
      throw new KernelError(`reading from ${name} failed: ${String(cause)}`, { cause });
    });
    await commands.judged;
    check(commands);
    const storages = pieces.map(({ storage }) => storage);
    checkWritten(commands, storages);
    // Refused for what others recorded: the copy was part of it.
    if (commands.refusals.some(({ from }) => from === epoch)) return await read(device, pieces);
    const mapped = target.getMappedRange(0, mappable(size));
    return places.map(({ start, bytes }) => mapped.slice(start, start + bytes));
  } finally {
    giveReadback(commands, target);
  }
}

/** Maps are of whole 4 bytes. */
const mappable = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** Readback buffers that are kept at most, and the largest of them: making one of 4 MB takes longer than filling it. */
const MOST_READBACKS = 2;
const LARGEST_READBACK = 2 ** 24;

/** A buffer of at least `size` bytes to read through, sizes being powers of two so that they fit again. */
function takeReadback({ gpu, readbacks }: Commands, size: number): GPUBuffer {
  const rounded = size > LARGEST_READBACK ? mappable(size) : 2 ** Math.ceil(Math.log2(Math.max(size, 4096)));
  const at = readbacks.findIndex((buffer) => buffer.size === rounded);
  if (at >= 0) return readbacks.splice(at, 1)[0]!;
  return gpu.createBuffer({ size: rounded, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
}

/** Keeps a buffer for the next read, if this one came to its end. */
function giveReadback({ readbacks, closed }: Commands, buffer: GPUBuffer): void {
  if (closed || buffer.mapState !== 'mapped' || buffer.size > LARGEST_READBACK) {
    buffer.destroy();
    return;
  }
  buffer.unmap();
  readbacks.push(buffer);
  if (readbacks.length > MOST_READBACKS) readbacks.shift()!.destroy();
}
