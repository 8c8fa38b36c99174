// What the TypeScript side of a kernel hands to the engine: which WGSL file, in which variant, with which uniform and how
// many threads. Data only; the engine does the rest.

/**
 * Numbers for a WGSL file's `const NAME = …u;` lines, expressions for its `fn NAME(…) -> … { return …; }` lines; together
 * with the file they name a variant.
 */
export type Constants = Readonly<Record<string, number | string>>;

/** Values for the fields of a kernel's uniform struct, by name; a list for an array of vectors, one after the other. */
export type Params = Readonly<Record<string, number | readonly number[]>>;

/** One dispatch. Bindings are read from the WGSL itself: 0 is the uniform, then the inputs, then the output. */
export interface Launch {
  /** Key into `sources`. */
  readonly kernel: string;
  readonly constants: Constants;
  readonly params: Params;
  /** Threads that have work. */
  readonly threads: number;
  /** At most how often one thread goes through the heads of all its loops together; see `loop`. */
  readonly iterations: number;
  /** Threads of a workgroup; where each computes a tile or a line the device sets it: see profile.ts. */
  readonly workgroup?: number;
}

/** A launch together with the size, in elements, of the buffer it fills. */
export interface SizedLaunch {
  readonly launch: Launch;
  readonly elements: number;
}

/** Threads of a workgroup, WORKGROUP of threads.wgsl, where each computes an element or a few. */
export const WORKGROUP = 64;

/** WebGPU's limit of workgroups per dimension, GROUPS_PER_ROW of threads.wgsl. */
const GROUPS_PER_ROW = 65_535;

/** Workgroups of `size` that cover `threads` threads, in rows; a kernel finds its index by threads.wgsl. */
export function workgroupsOf(threads: number, size: number): readonly [x: number, y: number] {
  const groups = Math.ceil(threads / size);
  return [Math.min(groups, GROUPS_PER_ROW), Math.ceil(groups / GROUPS_PER_ROW)];
}

/**
 * Most iterations of a thread. Mesa's software drivers, llvmpipe and lavapipe, end all loops of a thread there without an
 * error (LP_MAX_TGSI_LOOP_ITERATIONS), and drivers of hardware may take longer ones for a hang. The engine refuses a launch
 * beyond; parts.ts has what longer sums are made with.
 */
export const MOST_ITERATIONS = 65_535;

/** Iterations of a loop of `n` rounds, each with some of its own. The test that ends it is one too, as drivers count. */
export const loop = (n: number, ofEach = 0): number => n * (1 + ofEach) + 1;

/** Whether no thread works for too long. */
export const isShort = ({ iterations }: Pick<Launch, 'iterations'>): boolean => iterations <= MOST_ITERATIONS;

/** A launch whose threads compute an element or a few each; a kernel with loops has `iterations`. */
export const launch = (
  kernel: string,
  threads: number,
  params: Params,
  constants: Constants = {},
  iterations = 0,
): Launch => ({ kernel, constants, params, threads, iterations, workgroup: WORKGROUP });

/** A launch whose threads compute a tile or a line each. */
export const launchTiles = (
  kernel: string,
  tiles: number,
  params: Params,
  constants: Constants = {},
  iterations = 0,
): Launch => ({ kernel, constants, params, threads: tiles, iterations });

/** A launch of workgroups of `size` threads that work together. */
export const launchGroups = (
  kernel: string,
  groups: number,
  params: Params,
  constants: Constants = {},
  iterations = 0,
  size: number = WORKGROUP,
): Launch => ({ kernel, constants, params, threads: groups * size, iterations, workgroup: size });

/**
 * What a kernel does to a result before it writes it: add a bias, a number a row (a channel of a convolution) or a column,
 * add a summand of the result's shape, then clamp.
 */
export interface Epilogue {
  readonly bias: false | BiasAlong;
  readonly summand: boolean;
  readonly clamp?: readonly [low: number, high: number];
}

/** Which of a product's axes the bias goes along; a convolution's rows are its output channels. */
export type BiasAlong = 'rows' | 'columns';

export const NO_EPILOGUE: Epilogue = { bias: false, summand: false };

/** An epilogue's part in a kernel's uniform; `biased` is 0 for no bias, 1 for one along rows, 2 along columns. */
export function epilogueParams({ bias, clamp }: Epilogue): Params {
  const [low, high] = clamp ?? [0, 0];
  const biased = bias === false ? 0 : bias === 'rows' ? 1 : 2;
  return { biased, clamped: Number(clamp !== undefined), low, high };
}

/** An epilogue's part in a kernel's constants. */
export const epilogueConstants = ({ summand }: Epilogue): Constants => ({ SUMMED: Number(summand) });
