// Kernels side by side: for a problem, the plans of the engine's own tables. A row in a table of kernels/ is measured here.

import { type Convolution, forward } from '../kernels/conv/geometry.ts';
import { convVariants } from '../kernels/conv/variants.ts';
import { NO_EPILOGUE } from '../kernels/kernel.ts';
import type { MatmulGeometry } from '../kernels/matmul/matmul.ts';
import { matmulVariants } from '../kernels/matmul/variants.ts';
import type { Plan } from '../kernels/plan.ts';
import type { Profile } from '../kernels/profile.ts';
import type { ConvProblem, KernelProblem } from './problems.ts';

/** Ways to compute a problem's `y` from its `x` and `w`, by name. */
export type Variants = Readonly<Record<string, Plan>>;

export function convolutionOf(p: ConvProblem): Convolution {
  const pad = (p.kernel - 1) / 2;
  return forward({
    batch: p.batch,
    inChannels: p.inChannels,
    input: p.size,
    outChannels: p.outChannels,
    output: p.size,
    kernel: [p.kernel, p.kernel],
    stride: [1, 1],
    padding: [pad, pad, pad, pad],
    dilation: [1, 1],
    groups: p.groups,
  });
}

export function matmulOf({ m, n, k }: Extract<KernelProblem, { op: 'matmul' }>): MatmulGeometry {
  const strides = { a: { batch: 0, row: k, column: 1 }, b: { batch: 0, row: n, column: 1 } };
  return { batch: 1, m, n, k, ...strides };
}

/**
 * Every variant of a problem that can be chosen on a device; none where there is only what the engine does. A kernel for
 * GPUs may keep a processor busy for minutes, and so those of the device's class alone.
 */
export function variantsOf(problem: KernelProblem, profile: Profile): Variants {
  const isForClass = (row: { readonly variant: string; readonly of?: Profile['class'] }) =>
    (row.of ?? profile.class) === profile.class;
  if (problem.op === 'conv2d') {
    const convolution = convolutionOf(problem);
    const allowed = convVariants.filter((row) => isForClass(row) && row.allows(convolution));
    return Object.fromEntries(
      allowed.map(({ variant, plan }) => [variant, plan(convolution, NO_EPILOGUE, profile)]),
    );
  }
  if (problem.op === 'matmul') {
    const g = matmulOf(problem);
    const product = { g, epilogue: NO_EPILOGUE, profile, names: { a: 'x', b: 'w', y: 'y' } };
    const allowed = matmulVariants.filter((row) => isForClass(row) && row.allows(g, NO_EPILOGUE));
    return Object.fromEntries(allowed.map(({ variant, plan }) => [variant, plan(product)]));
  }
  return {};
}
