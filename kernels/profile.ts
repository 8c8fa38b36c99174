// What the choice among kernels is made from: the kind of device, and what of it was measured.

/**
 * Software computes on a few cores of the CPU; a GPU has thousands of threads to fill. What is best for one costs the
 * other several times as much.
 */
export const deviceClasses = ['software', 'gpu'] as const;
export type DeviceClass = (typeof deviceClasses)[number];

export interface Profile {
  readonly class: DeviceClass;
  readonly limits: {
    /** Bytes that a kernel sees of one buffer. */
    readonly binding: number;
    /** Bytes of one buffer. */
    readonly buffer: number;
  };
  /** WebGPU's optional features that the device has. */
  readonly features: ReadonlySet<string>;
  /** Figures that were measured to be better on this device than those of its class. */
  readonly tuned?: Partial<Figures>;
  /** Names of variants that are not to be used, of whatever kernel. */
  readonly without: ReadonlySet<string>;
}

/** A number that the choice reckons with, for each class of devices; and all values that are right, for `tune` to try. */
interface Figure extends Readonly<Record<DeviceClass, number>> {
  readonly values: readonly number[];
}

const NEVER = 2 ** 40;

/**
 * Software: measured on llvmpipe with two cores, which spreads few tiles over its cores more evenly in small workgroups;
 * it computes a vector of eight threads on each. GPU: not measured on one; warps are to be filled, a workgroup or two is
 * wanted for each of some tens of multiprocessors, and no kernel is to take more than 128 registers of RDNA2
 * (`npm run occupancy`). On a device at hand `tune` measures which values are best.
 */
export const figures = {
  /** Tiles below which smaller ones keep more of the device busy; on a GPU each is a workgroup's. */
  enoughTiles: { software: 16, gpu: 128, values: [4, 16, 64, 128, 256, 512] },
  /** How much it counts that larger tiles cost less: the power that their costs are taken to. */
  tileCosts: { software: 1, gpu: 1, values: [0, 0.5, 1, 2, 4] },
  /** Channels on both sides of a convolution from which Winograd's transforms may cost less than they save. */
  winogradChannels: { software: 16, gpu: 128, values: [8, 16, 32, 64, 128, 256] },
  /**
   * Multiply-adds from which they do. On a GPU, reckoned: they move 18 bytes a pixel and channel, and two launches more than
   * the implicit product takes are to be won back.
   */
  winogradWork: { software: 2 ** 22, gpu: 2 ** 26, values: [2 ** 20, 2 ** 22, 2 ** 24, 2 ** 26, NEVER] },
  /** Terms of the shortest part of a product's sums, where these are cut to have enough tiles. */
  shortestPart: { software: 256, gpu: 64, values: [32, 64, 128, 256] },
  /** Threads of a workgroup where each computes a tile or a line. */
  tileWorkgroup: { software: 8, gpu: 64, values: [8, 16, 32, 64] },
  /** Threads below which work is split among more. */
  enoughThreads: { software: 2048, gpu: 16_384, values: [512, 2048, 8192, 16_384, 65_536] },
  /** Rows of the shortest strip of a depthwise convolution, where strips are cut to have enough threads. */
  shortestStrip: { software: 4, gpu: 1, values: [1, 2, 4] },
  /** Rows of a tile of the direct convolution: more share the weights that are read, and take more registers. */
  directRows: { software: 8, gpu: 2, values: [2, 4, 8] },
  /** Vec4 of a tile of attention's values, likewise. */
  mixVectors: { software: 4, gpu: 1, values: [1, 2, 4] },
  /** Elements of a line, neighbours in memory, from which the threads of a workgroup go through it together. */
  together: { software: NEVER, gpu: 32, values: [32, 256, NEVER] },
  /**
   * 1: inputs of a concatenation that stay in one piece, as channels of one picture do, are copied without a kernel. On
   * llvmpipe SqueezeNet took a tenth less time for it, before convolutions wrote there themselves. A GPU would end its pass for each.
   */
  copiesWhole: { software: 1, gpu: 0, values: [0, 1] },
  /** Inputs of a concatenation in one launch. Choosing between two takes longer on software than a launch. */
  placedAtOnce: { software: 1, gpu: 2, values: [1, 2] },
} as const satisfies Readonly<Record<string, Figure>>;

export type FigureName = keyof typeof figures;
export type Figures = Readonly<Record<FigureName, number>>;

const ofClass = Object.fromEntries(
  deviceClasses.map((of) => [
    of,
    Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, figure[of]])),
  ]),
) as Record<DeviceClass, Figures>;

/** The numbers by which kernels are chosen on a device. */
export const figuresOf = ({ class: of, tuned }: Pick<Profile, 'class' | 'tuned'>): Figures =>
  tuned === undefined ? ofClass[of] : { ...ofClass[of], ...tuned };

/** Whether the threads of a workgroup go together through each line of n elements, `inner` apart. */
export const goTogether = (profile: Pick<Profile, 'class' | 'tuned'>, n: number, inner: number): boolean =>
  inner === 1 && n >= figuresOf(profile).together;
