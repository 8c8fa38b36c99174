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
  /** Names of variants that are not to be used, of whatever kernel. */
  readonly without: ReadonlySet<string>;
}

/** What the choice reckons with. */
interface Figures {
  /** Threads of a workgroup where each computes a tile or a line. */
  readonly tileWorkgroup: number;
  /** Tiles below which smaller ones keep more of the device busy; on a GPU each is a workgroup's. */
  readonly enoughTiles: number;
  /** Threads below which work is split among more. */
  readonly enoughThreads: number;
  /** Rows of a tile of the direct convolution: more share the weights that are read, and take more registers. */
  readonly directRows: number;
  /** Vec4 of a tile of attention's values, likewise. */
  readonly mixVectors: number;
  /** Elements of a line, neighbours in memory, from which the threads of a workgroup go through it together. */
  readonly together: number;
  /** Inputs of a concatenation in one launch: 1 or 2. Choosing between two takes longer on software than a launch. */
  readonly placedAtOnce: 1 | 2;
}

/**
 * Software: measured on llvmpipe with two cores, which spreads few tiles over its cores more evenly in small workgroups;
 * it computes a vector of eight threads on each. GPU: not measured on one; warps are to be filled, a workgroup or two is
 * wanted for each of some tens of multiprocessors, and no kernel is to take more than 128 registers of RDNA2
 * (`npm run occupancy`).
 */
const figures: Readonly<Record<DeviceClass, Figures>> = {
  software: {
    tileWorkgroup: 8,
    enoughTiles: 16,
    enoughThreads: 2048,
    directRows: 8,
    mixVectors: 4,
    together: Number.POSITIVE_INFINITY,
    placedAtOnce: 1,
  },
  gpu: {
    tileWorkgroup: 64,
    enoughTiles: 128,
    enoughThreads: 16_384,
    directRows: 2,
    mixVectors: 1,
    together: 32,
    placedAtOnce: 2,
  },
};

export const figuresOf = (profile: Pick<Profile, 'class'>): Figures => figures[profile.class];

/** Whether the threads of a workgroup go together through each line of n elements, `inner` apart. */
export const goTogether = (profile: Pick<Profile, 'class'>, n: number, inner: number): boolean =>
  inner === 1 && n >= figuresOf(profile).together;
