// Measures which figures of kernels/profile.ts are best on a device, and keeps them for `openDevice`.

import { attentionMix } from '../kernels/attention/attention.ts';
import { forward } from '../kernels/conv/geometry.ts';
import { chooseConv } from '../kernels/conv/variants.ts';
import { NO_EPILOGUE } from '../kernels/kernel.ts';
import { planMatmul } from '../kernels/matmul/variants.ts';
import type { Plan } from '../kernels/plan.ts';
import { deviceClasses, type FigureName, figures, figuresOf, type Profile } from '../kernels/profile.ts';
import { reduce, reduced } from '../kernels/reduce/reduce.ts';
import { softmax } from '../kernels/softmax/softmax.ts';
import { commandsOf, type Device, read } from './device.ts';
import { KernelError } from './errors.ts';
import { runPlan } from './plan.ts';
import { assertOutsideScopes, type Tensor, tensor } from './tensor.ts';
import { keepTuning, type Tuning } from './tuning.ts';

/** Something that networks compute: elements of its buffers, the result's being `y`, and its plan on a device. */
interface Workload {
  readonly name: string;
  readonly sizes: Readonly<Record<string, number>>;
  readonly plan: (profile: Profile) => Plan;
}

function product(m: number, n: number, k: number): Workload {
  const strides = { a: { batch: 0, row: k, column: 1 }, b: { batch: 0, row: n, column: 1 } };
  const g = { batch: 1, m, n, k, ...strides };
  return {
    name: `[${m}, ${k}] by [${k}, ${n}]`,
    sizes: { a: m * k, b: k * n, y: m * n },
    plan: (profile) => planMatmul(g, NO_EPILOGUE, profile, { a: 'a', b: 'b', y: 'y' }),
  };
}

/** Of the input's size. */
function convolution(
  batch: number,
  channels: number,
  side: number,
  out: number,
  size: number,
  groups = 1,
): Workload {
  const [pad, image] = [(size - 1) / 2, [side, side] as const];
  const c = forward({
    ...{ batch, inChannels: channels, outChannels: out, input: image, output: image, groups },
    ...{ kernel: [size, size], stride: [1, 1], dilation: [1, 1], padding: [pad, pad, pad, pad] },
  });
  const pixels = batch * side * side;
  return {
    name: `${size}x${size} ${groups > 1 ? 'depthwise ' : ''}[${batch}, ${channels}, ${side}, ${side}] to ${out}`,
    sizes: { x: pixels * channels, w: (out * channels * size * size) / groups, y: pixels * out },
    plan: (profile) => chooseConv(c, profile).plan(c, NO_EPILOGUE, profile),
  };
}

const lines = (
  name: string,
  [count, n]: readonly [number, number],
  ofEach: number,
  plan: Workload['plan'],
): Workload => ({
  name: `${name} [${count}, ${n}]`,
  sizes: { x: count * n, y: count * ofEach },
  plan,
});

/** The layers of networks, those of the longest time first. */
const workloads: readonly Workload[] = [
  convolution(1, 64, 56, 64, 3),
  product(512, 512, 512),
  convolution(1, 128, 28, 128, 3),
  convolution(1, 512, 7, 512, 3),
  convolution(1, 256, 28, 64, 1),
  convolution(1, 16, 32, 16, 3),
  convolution(1, 144, 28, 144, 3, 144),
  product(1, 1000, 1024),
  product(64, 384, 96),
  lines('softmax', [32, 1000], 1000, (profile) => [
    { launch: softmax(32, 1000, 1, false, profile), reads: ['x'], writes: 'y', elements: 32_000 },
  ]),
  {
    name: 'attention of 197 tokens',
    sizes: { p: 3 * 197 * 197, qkv: 3 * 197 * 192, y: 197 * 192 },
    plan: (profile) => {
      const launch = attentionMix({ batch: 1, tokens: 197, heads: 3, width: 64 }, profile);
      return [{ launch, reads: ['p', 'qkv'], writes: 'y', elements: 197 * 192 }];
    },
  },
  lines('mean', [512, 49], 1, (profile) => reduced(reduce('sum', 512, 49, 1, 1 / 49, profile), ['x'], 'y')),
];

/** A workload that the tuning changes, in milliseconds by the figures of the device's class and as tuned. */
interface Gain {
  readonly name: string;
  readonly before: number;
  readonly after: number;
}

/** What was found; `figures` are those that differ from the class's. */
export interface Tuned extends Tuning {
  readonly gains: readonly Gain[];
  /** Whether everything was tried before time was up. */
  readonly complete: boolean;
  /** Where it is kept. */
  readonly kept: string;
}

/** A sample is repeated until it takes this long: browsers tell time in steps of up to 0.1 ms. */
const SAMPLE_MS = 30;
/** A candidate is taken if it is faster by this factor, on average over the workloads that it changes. */
const WORTH = 1.05;
/** A candidate that is slower by this factor in one workload is not measured in the others. */
const HOPELESS = 0.5;
/** Rounds in which what was found and the class's figures are measured again, in turns. */
const ROUNDS = 3;
/** Results that differ by more, relative to the largest, are wrong. */
const TOLERANCE = 1e-4;

type Choice = Pick<Profile, 'class' | 'tuned'>;

/**
 * Measures which class of kernels and which figures are the fastest on a device, and keeps them on this machine (in the
 * cache folder, in a browser in the origin's cache storage), where `openDevice` finds them the next time. Takes up to
 * `seconds`, by default 9, in which nothing else should run. Defaults serve well without it.
 *
 * @throws {CacheError} where nothing can be kept.
 */
export async function tune(
  device: Device,
  { seconds = 9 }: { readonly seconds?: number } = {},
): Promise<Tuned> {
  assertOutsideScopes('tune');
  const { wgsl } = commandsOf(device);
  const { tuned: _, ...plain } = device.profile;
  const profile = (choice: Choice): Profile => ({ ...plain, ...choice });
  // What is left then is for measuring once more what was found.
  let until = performance.now() + 700 * seconds;
  const isOver = () => performance.now() > until;
  const bench = openBench(device);
  try {
    /** Times of what `to` computes otherwise than `from`, one sample after the other or in turns. */
    const gainsOf = async (from: Choice, to: Choice, by: 'apart' | 'inTurns') => {
      const gains: Gain[] = [];
      for (const workload of workloads) {
        const pair = [workload, profile(from), profile(to)] as const;
        if (bench.isSame(...pair)) continue;
        if (isOver()) return [];
        const { before, after } = await bench[by](...pair);
        gains.push({ name: workload.name, before, after });
        if (before / after < HOPELESS) break;
      }
      return gains;
    };
    const start: Choice = { class: plain.class };
    let best = start;
    const choices = function* (): Generator<Choice> {
      for (const of of deviceClasses) yield { class: of };
      for (const name of Object.keys(figures) as FigureName[])
        for (const value of figures[name].values) yield { ...best, tuned: { ...best.tuned, [name]: value } };
    };
    for (const choice of choices()) {
      if (isOver()) break;
      const isWorth = async (by: 'apart' | 'inTurns') => ratioOf(await gainsOf(best, choice, by)) >= WORTH;
      if ((await isWorth('apart')) && (await isWorth('inTurns'))) best = choice;
    }
    const complete = !isOver();
    until = Number.POSITIVE_INFINITY;
    const gains = await gainsOf(start, best, 'inTurns');
    const isBetter = ratioOf(gains) > 1;
    const { class: of, tuned = {} } = isBetter ? best : start;
    const kept = await keepTuning({ adapter: device.name, kernels: wgsl }, { class: of, figures: tuned });
    return { class: of, figures: tuned, gains: isBetter ? gains : [], complete, kept };
  } finally {
    bench.close();
  }
}

/** How many times as fast, the geometric mean; 1 where nothing changed. */
const ratioOf = (gains: readonly Gain[]): number =>
  Math.exp(
    gains.reduce((sum, { before, after }) => sum + Math.log(before / after), 0) / Math.max(1, gains.length),
  );

/** Times workloads under profiles of a device; each plan once. */
function openBench(device: Device) {
  const buffers = new Map<Workload, ReadonlyMap<string, Tensor>>();
  const times = new Map<string, number>();
  const rightResults = new Map<Workload, Float32Array>();

  const buffersOf = (workload: Workload) => {
    const made =
      buffers.get(workload) ??
      new Map(Object.entries(workload.sizes).map(([name, size]) => [name, numbers(device, size)]));
    buffers.set(workload, made);
    return made;
  };
  /** What is computed; how many threads a workgroup has is said by the device where a launch does not. */
  const keyOf = ({ name, plan }: Workload, profile: Profile) => {
    const steps = plan(profile);
    const isOfDevice = steps.some(({ launch }) => launch.workgroup === undefined);
    return JSON.stringify([name, steps, isOfDevice && figuresOf(profile).tileWorkgroup]);
  };

  /** Milliseconds of `runs` runs and a glance at the result. */
  const run = async (workload: Workload, profile: Profile, runs: number) => {
    const named = buffersOf(workload);
    const storages = Object.fromEntries([...named].map(([name, { storage }]) => [name, storage]));
    const started = performance.now();
    for (let i = 0; i < runs; i++) runPlan({ ...device, profile }, workload.plan(profile), storages, 'tune');
    await read(device, [{ storage: storages.y!, bytes: 4 }]);
    return performance.now() - started;
  };
  /** Milliseconds of one run, from enough of them. */
  const sample = async (workload: Workload, profile: Profile) => {
    for (let runs = 1; ; ) {
      const elapsed = await run(workload, profile, runs);
      if (elapsed >= SAMPLE_MS) return elapsed / runs;
      runs = Math.ceil(runs * Math.min(8, (1.2 * SAMPLE_MS) / elapsed));
    }
  };
  /** Whether the result is that of the first profile. */
  const isRight = async (workload: Workload, profile: Profile) => {
    await run(workload, profile, 1);
    const found = await buffersOf(workload).get('y')!.data();
    const right = rightResults.get(workload) ?? found;
    rightResults.set(workload, right);
    const largest = right.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    return found.every((x, i) => Math.abs(x - right[i]!) <= TOLERANCE * largest);
  };
  /** Milliseconds of one run, measured once; infinity of what fails or is wrong. */
  const time = async (workload: Workload, profile: Profile): Promise<number> => {
    const key = keyOf(workload, profile);
    let time = times.get(key);
    if (time === undefined) {
      time = Number.POSITIVE_INFINITY;
      try {
        if (await isRight(workload, profile)) time = await sample(workload, profile);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
      times.set(key, time);
    }
    return time;
  };
  return {
    isSame: (workload: Workload, before: Profile, after: Profile) =>
      keyOf(workload, before) === keyOf(workload, after),
    apart: async (workload: Workload, before: Profile, after: Profile) => ({
      before: await time(workload, before),
      after: await time(workload, after),
    }),
    inTurns: async (workload: Workload, before: Profile, after: Profile) => {
      const least = { before: Number.POSITIVE_INFINITY, after: Number.POSITIVE_INFINITY };
      for (let round = 0; round < ROUNDS; round++) {
        least.before = Math.min(least.before, await sample(workload, before));
        least.after = Math.min(least.after, await sample(workload, after));
      }
      return least;
    },
    close: () => {
      for (const made of buffers.values()) for (const tensor of made.values()) tensor.dispose();
    },
  };
}

/** Numbers of -0.5 to 0.5 without a pattern that would cancel. */
const numbers = (device: Device, count: number): Tensor =>
  tensor(
    device,
    Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1009) / 1009 - 0.5),
    [count],
  );
