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
}

/** A launch together with the size, in elements, of the buffer it fills. */
export interface SizedLaunch {
  readonly launch: Launch;
  readonly elements: number;
}

/** Threads of a workgroup in every one-dimensional kernel. */
export const WORKGROUP = 64;

/** The same in kernels whose threads compute a tile each: smaller, so that few tiles still spread evenly. */
export const TILE_WORKGROUP = 32;

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
  workgroup = WORKGROUP,
): Launch {
  return { kernel, constants, params, workgroups: cover(threads, workgroup) };
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

/** What a kernel does to a result before it writes it: add a bias, then clamp. */
export interface Epilogue {
  readonly bias: boolean;
  readonly clamp?: readonly [low: number, high: number];
}

export const NO_EPILOGUE: Epilogue = { bias: false };

/** An epilogue as the uniform words `biased`, `clamped`, `low`, `high`. */
export function epilogueWords({ bias, clamp }: Epilogue): number[] {
  const [low, high] = clamp ?? [0, 0];
  return [Number(bias), Number(clamp !== undefined), bits(low), bits(high)];
}
