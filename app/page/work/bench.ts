// What the bench asks: of the adapter, of kernels on a case, and of WGSL that was written on the page.

import { text } from '#platform';
import { kernelCases, layerCases } from '../../../bench/cases.ts';
import { difference, expectedOf, sampleOf } from '../../../bench/compare.ts';
import type { Engine, Prepared } from '../../../bench/engines/engine.ts';
import { prepareKernel } from '../../../bench/engines/limelight-kernels.ts';
import { measurePeaks } from '../../../bench/peaks.ts';
import { type KernelProblem, type Work as Needed, workOfKernel } from '../../../bench/problems.ts';
import type { Environment, Measurement } from '../../../bench/results.ts';
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
  who: Pick<Measurement, 'case' | 'engine' | 'variant'>,
  prepare: () => Promise<Prepared>,
): Contestant & { readonly dispose: () => void } {
  let prepared: Prepared | undefined;
  return {
    ...who,
    async prepare() {
      const started = performance.now();
      prepared = await prepare();
      const result = await prepared.run(1);
      const first = performance.now() - started;
      return { first, check: sampleOf(prepared.ordered?.(result) ?? result) };
    },
    async run(times) {
      const started = performance.now();
      await prepared!.run(times);
      return performance.now() - started;
    },
    dispose: () => prepared?.dispose(),
  };
}

/** Peers by their addresses, each opened once. */
const peers = new Map<string, Promise<Engine>>();

/** The peer whose module lies at an address: it exports `open`, which gives an Engine. */
function peerAt(address: string): Promise<Engine> {
  const opened =
    peers.get(address) ??
    import(/* @vite-ignore */ address).then(({ open }: { open: () => Promise<Engine> }) => open());
  peers.set(address, opened);
  return opened;
}

/** Peers, and why those that could not be opened could not. */
async function openPeers(addresses: Readonly<Record<string, string>>) {
  const found: { readonly name: string; readonly peer: Engine | Error }[] = [];
  for (const [name, address] of Object.entries(addresses))
    found.push({ name, peer: await peerAt(address).catch((error: unknown) => new Error(messageOf(error))) });
  return found;
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

  /** Measures a case: what users call, every variant, what was written, and peers, by the addresses of their modules. */
  async measure(
    {
      name,
      rounds,
      seconds,
      written,
      peers: addresses,
    }: {
      readonly name: string;
      readonly rounds: number;
      readonly seconds: number;
      readonly written: readonly WrittenKernel[];
      readonly peers: Readonly<Record<string, string>>;
    },
    { device, progress }: Work,
  ): Promise<{
    readonly work: Needed;
    readonly engines: Environment['engines'];
    readonly measurements: readonly Measurement[];
  }> {
    const problem = problems.get(name)!;
    const by = (variant?: string, plan?: Plan) =>
      contestant({ case: name, engine: 'limelight', ...(variant !== undefined && { variant }) }, () =>
        prepareKernel(device, problem, plan ?? variant),
      );
    const others = written.flatMap((kernel) => {
      const plan = planOf(device, problem, kernel);
      return plan ? [by(kernel.name, plan)] : [];
    });
    const opened = await openPeers(addresses);
    const all = [
      by(),
      ...Object.keys(variantsOf(problem, device.profile)).map((variant) => by(variant)),
      ...others,
      ...opened.map(({ name: engine, peer }) =>
        contestant({ case: name, engine }, async () => {
          if (peer instanceof Error) throw peer;
          return peer.prepare(problem);
        }),
      ),
    ];
    try {
      const expected = new Map([[name, expectedOf(problem)]]);
      const measurements = await takeTurns(all, { rounds, seconds, repeated: true, expected, progress });
      throwIfLost(device);
      const engines = Object.fromEntries(
        opened.flatMap(({ name, peer }) =>
          peer instanceof Error ? [] : [[name, { version: peer.version, adapter: peer.adapter }]],
        ),
      );
      return { work: workOfKernel(problem), engines, measurements };
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
