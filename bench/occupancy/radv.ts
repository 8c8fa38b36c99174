// What RADV says of the kernels it compiles (RADV_DEBUG=shaderstats), and what was dispatched of them.

/** A dispatch: which case it was part of, and of which pipeline. */
export interface Dispatch {
  readonly case: string;
  /** The pipeline's label: the kernel, the threads of its workgroups, and its constants. */
  readonly label: string;
  readonly workgroups: number;
}

/** What a kernel takes of a GPU, for one thread or, where it says so, one workgroup. */
export interface Occupancy {
  /** 32-bit vector registers. */
  readonly registers: number;
  /** Registers that did not fit and went to memory. */
  readonly spilled: number;
  /** Waves of 32 threads that one SIMD holds at once. */
  readonly waves: number;
  /** Bytes of workgroup memory. */
  readonly shared: number;
}

/** Kernels by their labels, from what compile.node.ts and the driver wrote to stderr. */
export function occupancyOf(log: string): Map<string, Occupancy> {
  const found = new Map<string, Occupancy>();
  for (const part of log.split('\n@@compiled ').slice(1)) {
    const [label, ...lines] = part.split('\n') as [string, ...string[]];
    const end = lines.indexOf('@@end');
    const stats = new Map(
      lines.slice(0, end).flatMap((line) => {
        const [, name, value] = /^([A-Za-z -]+): (\d+)/.exec(line) ?? [];
        return name === undefined ? [] : [[name, Number(value)] as const];
      }),
    );
    const of = (name: string) => {
      const value = stats.get(name);
      if (value === undefined) throw new RangeError(`RADV does not say "${name}" of ${label}`);
      return value;
    };
    found.set(label, {
      registers: of('VGPRs'),
      spilled: of('Spilled VGPRs'),
      waves: of('Subgroups per SIMD'),
      shared: of('LDS size'),
    });
  }
  return found;
}

export const dispatchesOf = (out: string): Dispatch[] =>
  out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): Dispatch => JSON.parse(line));
