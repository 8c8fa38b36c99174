// What the bench asks: of the adapter, of kernels on a case, and of WGSL that was written on the page.

import { text } from '#platform';
import { kernelCases, layerCases } from '../../../bench/cases.ts';
import { difference, expectedOf, sampleOf } from '../../../bench/compare.ts';
import type { Prepared } from '../../../bench/engines/engine.ts';
import { prepareKernel } from '../../../bench/engines/limelight-kernels.ts';
import { measurePeaks } from '../../../bench/peaks.ts';
import { type KernelProblem, type Work as Needed, workOfKernel } from '../../../bench/problems.ts';
import type { Measurement } from '../../../bench/results.ts';
import type { Peaks } from '../../../bench/roofline.ts';
import { type Contestant, takeTurns, WRONG } from '../../../bench/turns.ts';
import { variantsOf } from '../../../bench/variants.ts';
import { awkward, planOf, type WrittenKernel } from '../../../bench/written.ts';
import { commandsOf, type Device, flush, gpuOf } from '../../../engine/device.ts';
import { DeviceLostError } from '../../../engine/errors.ts';
import { messageOf } from '../../../engine/platform/errors.ts';
import type { Plan } from '../../../kernels/plan.ts';
import { withConstants } from '../../../kernels/source.ts';
import type { Work } from './subject.ts';

/** The adapter as WebGPU tells it. */
export interface Adapter {
  readonly name: string;
  readonly class: string;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

/** A variant's kernel: its WGSL, and the values that its `const` lines have on the case. */
export interface Source {
  readonly kernel: string;
  readonly wgsl: string;
  readonly constants: Readonly<Record<string, number | string>>;
}

/** What a compiler says, at a line and column from 1 on; length in characters. */
export interface Message {
  readonly kind: GPUCompilationMessageType;
  readonly line: number;
  readonly column: number;
  readonly length: number;
  readonly text: string;
}

/** How a written kernel did on one size: the difference from float64, relative to the largest value, or what failed. */
export interface Trial {
  readonly shape: string;
  readonly outcome: { readonly difference: number; readonly right: boolean } | { readonly failed: string };
}

const threads = new URL('../../../kernels/threads.wgsl', import.meta.url);
const templates: Readonly<Partial<Record<KernelProblem['op'], URL>>> = {
  matmul: new URL('../../../bench/templates/matmul.wgsl', import.meta.url),
  conv2d: new URL('../../../bench/templates/conv2d.wgsl', import.meta.url),
};

const problems = new Map(
  [...kernelCases, ...layerCases].map(({ name, problem }) => [name, problem as KernelProblem]),
);

const wgslOf = (device: Device, kernel: string) => commandsOf(device).wgsl.get(kernel)!;

/** Sizes of a problem in words. */
function shapeOf({ op: _, ...sizes }: KernelProblem): string {
  return Object.entries(sizes)
    .map(([name, size]) => `${name} ${[size].flat().join(' x ')}`)
    .join(', ');
}

/** The messages of a compiler on some WGSL. */
async function messagesOf(device: Device, code: string): Promise<Message[]> {
  flush(device); // whose errors are awaited in a scope around this one
  const gpu = gpuOf(device);
  gpu.pushErrorScope('validation');
  const module = gpu.createShaderModule({ code });
  await gpu.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  return messages.map(({ type, lineNum, linePos, length, message }) => ({
    ...{ kind: type, line: lineNum, column: linePos, length, text: message },
  }));
}

/** A lost device is nobody's result: the page opens another and tries again. */
function throwIfLost(device: Device): void {
  const { failure } = commandsOf(device);
  if (failure instanceof DeviceLostError) throw failure;
}

function contestant(
  device: Device,
  name: string,
  variant?: string,
  by?: Plan,
): Contestant & { readonly dispose: () => void } {
  let prepared: Prepared | undefined;
  return {
    case: name,
    engine: 'limelight',
    ...(variant !== undefined && { variant }),
    async prepare() {
      const started = performance.now();
      prepared = await prepareKernel(device, problems.get(name)!, by ?? variant);
      const result = await prepared.run(1);
      return { first: performance.now() - started, check: sampleOf(result) };
    },
    async run(times) {
      const started = performance.now();
      await prepared!.run(times);
      return performance.now() - started;
    },
    dispose: () => prepared?.dispose(),
  };
}

export const benchTasks = {
  async adapter(_: Record<string, never>, { device }: Work): Promise<Adapter> {
    const gpu = gpuOf(device);
    const limits: Record<string, number> = {};
    for (const name in gpu.limits) {
      const value = gpu.limits[name as keyof GPUSupportedLimits];
      if (typeof value === 'number') limits[name] = value;
    }
    return { name: device.name, class: device.profile.class, features: [...gpu.features].sort(), limits };
  },

  peaks: (_: Record<string, never>, { device }: Work): Promise<Peaks> => measurePeaks(gpuOf(device)),

  /** Measures a case: what users call, every variant, and what was written. */
  async measure(
    {
      name,
      rounds,
      seconds,
      written,
    }: {
      readonly name: string;
      readonly rounds: number;
      readonly seconds: number;
      readonly written: readonly WrittenKernel[];
    },
    { device, progress }: Work,
  ): Promise<{ readonly work: Needed; readonly measurements: readonly Measurement[] }> {
    const problem = problems.get(name)!;
    const others = written.flatMap((kernel) => {
      const plan = planOf(device, problem, kernel);
      return plan ? [contestant(device, name, kernel.name, plan)] : [];
    });
    const variants = Object.keys(variantsOf(problem, device.profile));
    const all = [
      contestant(device, name),
      ...variants.map((variant) => contestant(device, name, variant)),
      ...others,
    ];
    try {
      const expected = new Map([[name, expectedOf(problem)]]);
      const measurements = await takeTurns(all, { rounds, seconds, repeated: true, expected, progress });
      throwIfLost(device);
      return { work: workOfKernel(problem), measurements };
    } finally {
      for (const { dispose } of all) dispose();
    }
  },

  /** The kernels of every variant of a case, and what to begin a kernel of one's own with. */
  async sources(
    { name }: { readonly name: string },
    { device }: Work,
  ): Promise<{ readonly variants: Readonly<Record<string, readonly Source[]>>; readonly template?: string }> {
    const problem = problems.get(name)!;
    const template = templates[problem.op];
    const variants = Object.entries(variantsOf(problem, device.profile)).map(([variant, plan]) => {
      const launches = new Map(plan.map(({ launch }) => [launch.kernel, launch]));
      const found = [...launches.values()].map(({ kernel, constants }) => ({
        ...{ kernel, constants, wgsl: wgslOf(device, kernel) },
      }));
      return [variant, found] as const;
    });
    return {
      variants: Object.fromEntries(variants),
      ...(template && { template: `${await text(template)}${await text(threads)}` }),
    };
  },

  /** Compiles WGSL with the values that its `const` lines have; its lines stay as they are. */
  async compile(
    { wgsl, constants }: { readonly wgsl: string; readonly constants: Source['constants'] },
    { device }: Work,
  ): Promise<readonly Message[]> {
    try {
      return await messagesOf(device, withConstants(wgsl, constants));
    } catch (error) {
      return [{ kind: 'error', line: 1, column: 1, length: 0, text: messageOf(error) }];
    }
  },

  /** Holds what was written to float64, on awkward sizes and the case's. */
  async tryOut(
    { name, written }: { readonly name: string; readonly written: WrittenKernel },
    { device, progress }: Work,
  ): Promise<readonly Trial[]> {
    const problem = problems.get(name)!;
    const all = [...awkward(problem), problem];
    const trials: Trial[] = [];
    for (const [i, one] of all.entries()) {
      progress(i / all.length);
      try {
        const plan = planOf(device, one, written);
        if (plan === undefined) continue; // the variant is not for such sizes
        const prepared = await prepareKernel(device, one, plan);
        try {
          const off = difference(expectedOf(one), sampleOf(await prepared.run(1)));
          trials.push({ shape: shapeOf(one), outcome: { difference: off, right: off <= WRONG } });
        } finally {
          prepared.dispose();
        }
      } catch (error) {
        throwIfLost(device);
        trials.push({ shape: shapeOf(one), outcome: { failed: messageOf(error) } });
      }
    }
    return trials;
  },
};
