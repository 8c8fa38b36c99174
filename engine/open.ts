// Opening a device and ending it: an adapter is chosen, the kernels' sources are loaded, and memory gets its budget.

import { availableMemory, openAdapter, quietly, text } from '#platform';
import type { ConvVariant } from '../kernels/conv/variants.ts';
import { sources } from '../kernels/index.ts';
import type { MatmulVariant } from '../kernels/matmul/variants.ts';
import type { DeviceClass, Profile } from '../kernels/profile.ts';
import { isSoftwareAdapter } from './adapter-names.ts';
import { createCommands, type Device, endCommands, type Precision, settle } from './device.ts';
import { MemoryBudgetError } from './errors.ts';
import { createMemory, type Memory, megabytes } from './memory.ts';
import type { Available } from './platform/interface.ts';
import { keptTuning } from './tuning.ts';

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

/** Variants of convolutions, their weight gradients and matrix products; a name is left out wherever it occurs. */
export type Variant = Exclude<ConvVariant | MatmulVariant, 'naive'>;

const WANTED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/**
 * Opens a device and loads the kernels. What drivers print meanwhile is not shown: where the error stream is a terminal or a
 * pipe, it leads nowhere until the device is open, for processes that are started meanwhile too; what JavaScript writes to
 * it comes then.
 *
 * @throws {NoDeviceError} when there is none.
 * @throws {UnknownAdapterError} for an adapter of a name that does not exist.
 * @throws {MemoryBudgetError} where hardly any memory is free.
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
    settle: () => settle(commands),
  });
  const commands = createCommands(gpu, name, memory, wgsl);
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
  endCommands(commands, name);
  open.delete(device);
}
