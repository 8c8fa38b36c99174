// Kernels that were written or edited outside of kernels/: what a plan makes of their text, and what they are tried on.

import { addKernel, type Device } from '../engine/device.ts';
import { launchGroups, type Params } from '../kernels/kernel.ts';
import type { Plan } from '../kernels/plan.ts';
import { fieldsOf } from '../kernels/source.ts';
import { elements, type KernelProblem, shapesOfKernel } from './problems.ts';
import { variantsOf } from './variants.ts';

/** WGSL, threads.wgsl and other shared functions included, and what to call it. */
export interface WrittenKernel {
  readonly name: string;
  readonly wgsl: string;
  /**
   * The variant whose kernel this is instead of the one in the table: the same buffers, uniform and threads, and the values
   * of its `const` lines. Without it, a kernel that reads x and w and fills y by itself.
   */
  readonly instead?: { readonly variant: string; readonly kernel: string };
}

/** A kernel that stands alone has these lines, and `groups` workgroups follow from them. */
const ALONE = ['ROWS', 'COLUMNS', 'WORKGROUP'] as const;

function constantOf(wgsl: string, name: (typeof ALONE)[number]): number {
  const value = Number(new RegExp(`^const ${name} = (\\d+)u;`, 'm').exec(wgsl)?.[1]);
  if (value > 0) return value;
  throw new RangeError(
    `the kernel has no line "const ${name} = …u;" with a number above 0: WORKGROUP threads compute a tile of ROWS x COLUMNS`,
  );
}

/** What can be asked of a problem in `struct Params`, and the sides of its result as [batch] matrices [rows, columns]. */
function sizesOf(p: KernelProblem): { params: Params; batch: number; rows: number; columns: number } {
  switch (p.op) {
    case 'matmul':
      return { params: { m: p.m, n: p.n, k: p.k }, batch: 1, rows: p.m, columns: p.n };
    case 'conv2d': {
      const { batch, inChannels, outChannels, kernel, groups, size } = p;
      const [height, width] = size;
      const params = { batch, inChannels, outChannels, height, width, kernel, groups, pad: (kernel - 1) / 2 };
      return { params, batch, rows: outChannels, columns: height * width };
    }
    case 'globalAvgPool': {
      const [batch, channels, height, width] = p.shape;
      return { params: { channels, plane: height * width }, batch, rows: channels, columns: 1 };
    }
    case 'softmax': {
      const [rows, columns] = p.shape;
      return { params: { rows, columns }, batch: 1, rows, columns };
    }
    case 'relu':
      return { params: { count: elements(p.shape) }, batch: 1, rows: 1, columns: elements(p.shape) };
  }
}

/** The plan of a kernel that computes all by itself, under the name that the device knows it by. */
function planAlone(problem: KernelProblem, { wgsl }: WrittenKernel, kernel: string): Plan {
  const [tileRows, tileColumns, workgroup] = ALONE.map((name) => constantOf(wgsl, name)) as [
    number,
    number,
    number,
  ];
  const { params, batch, rows, columns } = sizesOf(problem);
  const wanted = new Set(fieldsOf(wgsl).map(({ name }) => name));
  const given = Object.fromEntries(Object.entries(params).filter(([name]) => wanted.has(name)));
  const groups = batch * Math.ceil(rows / tileRows) * Math.ceil(columns / tileColumns);
  const { w, y } = shapesOfKernel(problem);
  return [
    {
      launch: launchGroups(kernel, groups, given, {}, 0, workgroup),
      reads: w ? ['x', 'w'] : ['x'],
      writes: 'y',
      elements: elements(y),
    },
  ];
}

/** Names under which devices were given texts, a name a text: a device compiles a name once. */
const names = new Map<string, string>();

/** A problem's plan with a written kernel in it; undefined where the variant is not for the problem. */
export function planOf(device: Device, problem: KernelProblem, written: WrittenKernel): Plan | undefined {
  const { wgsl, instead } = written;
  const kernel = names.get(wgsl) ?? `written ${names.size + 1}`;
  names.set(wgsl, kernel);
  addKernel(device, kernel, wgsl);
  if (instead === undefined) return planAlone(problem, written, kernel);
  const plan = variantsOf(problem, device.profile)[instead.variant];
  return plan?.map((step) =>
    step.launch.kernel === instead.kernel ? { ...step, launch: { ...step.launch, kernel } } : step,
  );
}

/** Sizes at which kernels go wrong: of one element, of no whole tile, of whole tiles, longer than a tile in each direction. */
export function awkward(problem: KernelProblem): readonly KernelProblem[] {
  if (problem.op === 'matmul')
    return [
      [1, 1, 1],
      [13, 20, 7],
      [64, 64, 64],
      [5, 129, 36],
      [67, 33, 130],
    ].map(([m, n, k]) => ({
      op: 'matmul',
      ...{ m: m!, n: n!, k: k! },
    }));
  if (problem.op === 'conv2d') {
    const { kernel, groups } = problem;
    const sizes: [batch: number, inputs: number, outputs: number, height: number, width: number][] = [
      [1, 1, 1, 1, 1],
      [2, 5, 6, 9, 7],
      [1, 16, 20, 8, 8],
      [3, 33, 18, 17, 13],
    ];
    return sizes.map(([batch, inputs, outputs, height, width]) => ({
      ...{ op: 'conv2d', batch, kernel, inChannels: inputs, size: [height, width] },
      ...(groups > 1 ? { outChannels: inputs, groups: inputs } : { outChannels: outputs, groups: 1 }),
    }));
  }
  return [];
}
