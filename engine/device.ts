// An open device: commands recorded into one pass, sent, and read back. Nothing waits for it until `read`.

import { type Constants, isShort, type Launch, MOST_ITERATIONS, workgroupsOf } from '../kernels/kernel.ts';
import { figuresOf, type Profile } from '../kernels/profile.ts';
import { bindings, type Field, fieldsOf, specialise, withHalves } from '../kernels/source.ts';
import { DeviceLostError, KernelError, type LimelightError, MixedDevicesError } from './errors.ts';
import { forget, type Memory, type Storage } from './memory.ts';
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
  /** Size of the uniform, with what keeps the next one aligned. */
  readonly bytes: number;
  /** Bind groups by their buffers. The pool gives a repeated computation the same buffers again. */
  readonly groups: Map<string, GPUBindGroup>;
}

/** What is recorded and not yet submitted, and what is kept between submits. */
interface Commands {
  readonly gpu: GPUDevice;
  /** The device's, which it makes anew each time that it is asked. */
  readonly limits: GPUSupportedLimits;
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

/** Half precision is IEEE 754's binary16: eleven binary digits, at most 65,504. */
export type Precision = 'f32' | 'f16';

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

/** What is recorded on a device that was just opened, and what goes wrong there. */
export function createCommands(
  gpu: GPUDevice,
  name: string,
  memory: Memory,
  wgsl: Map<string, string>,
): Commands {
  const commands: Commands = {
    gpu,
    limits: gpu.limits,
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
  return commands;
}

/** Ends a WebGPU device. */
export function endCommands(commands: Commands, name: string): void {
  commands.closed = true;
  commands.failure = new DeviceLostError(`the device ${name} was closed`);
  commands.gpu.destroy();
  // Dawn keeps its listeners by references that are never collected, and this one leads back to the device.
  commands.gpu.removeEventListener('uncapturederror', commands.failed);
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
  const { limits } = commands;
  const { kernel, params, threads } = launch;
  const size = launch.workgroup ?? figuresOf(device.profile).tileWorkgroup;
  const workgroups = workgroupsOf(threads, size);
  if (workgroups[1] > limits.maxComputeWorkgroupsPerDimension)
    throw new KernelError(`${kernel}: ${threads} threads are more than can be started at once`);
  encoderOf(commands);
  const halves: number[] = [];
  for (const [i, { isHalf }] of inputs.entries()) if (isHalf) halves.push(i + 1);
  const pipeline = pipelineOf(commands, kernel, launch.constants, size, halves);
  if (pipeline.bindings !== storages.length)
    throw new KernelError(
      `${kernel}: given ${storages.length} buffers, it has ${pipeline.bindings} bindings`,
    );
  const { bytes } = pipeline;
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
  const { gpu, limits, wgsl: sourceTexts, pipelines } = commands;
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
  const alignment = limits.minUniformBufferOffsetAlignment;
  const made = {
    pipeline,
    layout,
    bindings: storages.length,
    fields,
    bytes: Math.ceil((wordsOf(fields) * 4) / alignment) * alignment,
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

/** Sends what is recorded, and resolves once it has run, so that buffers may be destroyed. Never rejects. */
export function settle(commands: Commands): Promise<unknown> {
  submit(commands);
  forgetGroups(commands);
  return commands.gpu.queue.onSubmittedWorkDone().catch(() => {});
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
