// What the TypeScript side of a kernel hands to the engine: which WGSL file, in which variant, with which
// uniform and how many workgroups. Data only; the engine does the rest.

/** Values for a WGSL file's `const NAME = …u;` lines; together with the file they name a variant. */
export type Constants = Readonly<Record<string, number>>;

/** One dispatch. Bindings are read from the WGSL itself: 0 is the uniform, then the inputs, then the output. */
export interface Launch {
  /** Key into `sources`. */
  readonly kernel: string;
  readonly constants: Constants;
  /** The uniform struct as 32-bit words; f32 fields through `bits`. */
  readonly params: readonly number[];
  readonly workgroups: readonly [x: number, y: number];
  /** Threads, where each computes a tile or a line: the adapter then sets the workgroup's size; see `TILE_WORKGROUP`. */
  readonly tiles?: number;
}

/** A launch together with the size, in elements, of the buffer it fills. */
export interface SizedLaunch {
  readonly launch: Launch;
  readonly elements: number;
}

/** Threads of a workgroup in every one-dimensional kernel. */
export const WORKGROUP = 64;

/**
 * The same in kernels whose threads compute a tile or a line each, by class of adapter. Hardware has warps to fill;
 * software spreads few tiles over its cores more evenly in small workgroups.
 */
export const TILE_WORKGROUP = { software: 8, hardware: 64 } as const;

/** WebGPU's limit of workgroups per dimension; one-dimensional launches fold into y there. */
const MAX_WORKGROUPS = 65_535;

/** Workgroups that cover `threads` threads; a kernel finds its index as `g.x + g.y * 65535 * workgroup`. */
export function cover(threads: number, workgroup = WORKGROUP): readonly [number, number] {
  const groups = Math.ceil(threads / workgroup);
  return [Math.min(groups, MAX_WORKGROUPS), Math.ceil(groups / MAX_WORKGROUPS)];
}

/** A launch with one thread for each of `threads` items. */
export function launch(
  kernel: string,
  threads: number,
  params: readonly number[],
  constants: Constants = {},
): Launch {
  return { kernel, constants, params, workgroups: cover(threads) };
}

/** A launch with one thread for each of `tiles` tiles, of a kernel with a constant WORKGROUP. */
export function launchTiles(
  kernel: string,
  tiles: number,
  params: readonly number[],
  constants: Constants,
): Launch {
  return inWorkgroupsOf(TILE_WORKGROUP.hardware, { kernel, constants, params, workgroups: [0, 0], tiles });
}

/** A launch of tiles in workgroups of `size` threads; any other launch as it is. */
export function inWorkgroupsOf(size: number, launch: Launch): Launch {
  const { tiles, constants } = launch;
  if (tiles === undefined) return launch;
  return { ...launch, constants: { ...constants, WORKGROUP: size }, workgroups: cover(tiles, size) };
}

const word = new DataView(new ArrayBuffer(4));

/** The bits of an f32, to stand in a list of u32 words. */
export function bits(value: number): number {
  word.setFloat32(0, value);
  return word.getUint32(0);
}

/** The bits of an i32, likewise. */
export function signed(value: number): number {
  return value >>> 0;
}

/**
 * What a kernel does to a result before it writes it: add a bias, a number a row (a channel of a convolution) or a column,
 * add a summand of the result's shape, then clamp.
 */
export interface Epilogue {
  readonly bias: false | BiasAlong;
  readonly summand: boolean;
  readonly clamp?: readonly [low: number, high: number];
}

const biasesAlong = ['rows', 'columns'] as const;
/** Which of a product's axes the bias goes along; a convolution's rows are its output channels. */
export type BiasAlong = (typeof biasesAlong)[number];

export const NO_EPILOGUE: Epilogue = { bias: false, summand: false };

/** An epilogue as the uniform words `biased` (0: no, 1: along rows, 2: along columns), `clamped`, `low`, `high`. */
export function epilogueWords({ bias, clamp }: Epilogue): number[] {
  const [low, high] = clamp ?? [0, 0];
  const biased = bias === false ? 0 : 1 + biasesAlong.indexOf(bias);
  return [biased, Number(clamp !== undefined), bits(low), bits(high)];
}

/** An epilogue's part in a kernel's constants. */
export const epilogueConstants = ({ summand }: Epilogue): Constants => ({ SUMMED: Number(summand) });
