// Runs cases on engines, each in a process of its own, and lets them take turns: round r of every contestant comes before
// round r + 1 of any, so that what disturbs the machine disturbs all alike.

import type { Case } from './cases.ts';
import { builtCommand, explainTwice } from './cold.node.ts';
import { type EngineProcess, openEngine } from './engine-process.node.ts';
import { modelArgument } from './networks.node.ts';
import { difference } from './protocol.ts';
import type { Measurement } from './results.ts';
import type { Peaks } from './roofline.ts';
import { median, shuffled } from './statistics.ts';

export interface Plan {
  readonly cases: readonly Case[];
  /** Names in engines/index.ts; the results of the first are what the others' are compared with. */
  readonly engines: readonly string[];
  /** Whether each engine's variants of a case are measured beside it. */
  readonly variants: boolean;
  readonly rounds: number;
  /** Seconds that the rounds of one case may take; slow cases get fewer rounds, two at least. */
  readonly secondsPerCase: number;
}

export interface Run {
  readonly measurements: readonly Measurement[];
  readonly peaks: Peaks;
  readonly engines: readonly Pick<EngineProcess, 'name' | 'adapter' | 'version'>[];
}

/** Told of progress, the share done from 0 to 1, and of what is left out and why. */
export interface Listener {
  readonly progress: (share: number, now: string) => void;
  readonly warn: (message: string) => void;
}

/** A sample takes at least this long where the fastest contestant's runs may be repeated for it. */
const SAMPLE_MS = 20;
const MOST_REPEATS = 64;
/** A second round of warming up is left out where the first took longer than this: all is compiled by then. */
const LONG_WARM_UP_SECONDS = 5;
const LEAST_ROUNDS = 2;

/** Measures every case of a plan. */
export async function conduct(plan: Plan, listener: Listener): Promise<Run> {
  const open = new Map<string, EngineProcess>();
  const peaks: Peaks[] = [];
  const measurements: Measurement[] = [];
  try {
    /** Starts an engine's process; only the first engine is one that nothing can be measured without. */
    const start = async (name: string) => {
      try {
        open.set(name, await openEngine(name));
      } catch (error) {
        if (name === plan.engines[0]) throw error;
        open.delete(name);
        listener.warn(`${name} is left out: ${(error as Error).message.split('\n')[0]}`);
      }
    };
    for (const name of plan.engines) {
      listener.progress(0, `opening ${name}`);
      await start(name);
    }
    const engines = [...open.values()].map(({ name, adapter, version }) => ({ name, adapter, version }));
    const measurePeaks = async () => peaks.push(await open.get(plan.engines[0]!)!.ask('peaks', {}));
    await measurePeaks();
    const heats = heatsOf(plan.cases);
    for (const [i, heat] of heats.entries()) {
      const progress = (share: number) =>
        listener.progress((i + share) / heats.length, heat[0]!.heat ?? heat[0]!.name);
      progress(0);
      measurements.push(
        ...(heat[0]!.cold
          ? [await measureCold(heat[0]!, plan)]
          : await measureHeat(heat, [...open.values()], plan, progress)),
      );
      for (const [name, engine] of [...open]) if (!engine.isAlive()) await start(name);
    }
    await measurePeaks();
    return {
      measurements,
      engines,
      peaks: {
        flops: Math.max(...peaks.map((p) => p.flops)),
        bandwidth: Math.max(...peaks.map((p) => p.bandwidth)),
      },
    };
  } finally {
    for (const engine of open.values()) engine.stop();
  }
}

/** Neighbouring cases of one heat together; every other case by itself. */
function heatsOf(cases: readonly Case[]): Case[][] {
  const heats: Case[][] = [];
  for (const c of cases) {
    const last = heats.at(-1);
    if (c.heat !== undefined && last?.[0]?.heat === c.heat) last.push(c);
    else heats.push([c]);
  }
  return heats;
}

/** One engine, or one of its variants, on one case. */
interface Contestant {
  readonly engine: EngineProcess;
  readonly which: { readonly case: string; readonly variant?: string };
  first: number;
  difference: number;
  readonly samples: number[];
  failed?: string;
}

async function contestantsOf(
  heat: readonly Case[],
  engines: readonly EngineProcess[],
  plan: Plan,
): Promise<Contestant[]> {
  const found: Contestant[] = [];
  for (const { name } of heat) {
    for (const engine of engines) {
      const variants = plan.variants ? await engine.ask('variants', { case: name }) : [];
      const all = [{ case: name }, ...variants.map((variant) => ({ case: name, variant }))];
      found.push(...all.map((which) => ({ engine, which, first: 0, difference: 0, samples: [] })));
    }
  }
  return found;
}

/** Measures the cases of one heat on all engines, taking turns. */
async function measureHeat(
  heat: readonly Case[],
  engines: readonly EngineProcess[],
  plan: Plan,
  progress: (share: number) => void,
): Promise<Measurement[]> {
  const all = await contestantsOf(heat, engines, plan);
  /** Does something with each contestant that has not failed; one that fails is out. */
  const each = async (order: readonly Contestant[], body: (c: Contestant) => Promise<void>) => {
    for (const contestant of order) {
      if (contestant.failed !== undefined) continue;
      await body(contestant).catch((error: Error) => {
        contestant.failed = error.message;
      });
    }
  };
  /** One sample of each in turn. */
  const round = async (times: number, seed: number, keep: (c: Contestant, ms: number) => void) => {
    // In another order each time, so that nobody always comes after the same neighbour.
    await each(shuffled(all, seed), async (c) => keep(c, await c.engine.ask('run', { ...c.which, times })));
  };

  const expected = new Map<string, readonly number[]>();
  await each(all, async (c) => {
    const { first, check } = await c.engine.ask('prepare', c.which);
    c.first = first;
    const known = expected.get(c.which.case) ?? check;
    expected.set(c.which.case, known);
    c.difference = difference(known, check);
    if (c.difference > TOLERANCE) {
      throw new Error(`its result is wrong: off by ${c.difference.toExponential(1)} of the largest value`);
    }
  });
  const single = new Map<Contestant, number>();
  const warmUp = () => round(1, 0, (c, ms) => single.set(c, ms));
  await warmUp();
  if (total(single.values()) < 1000 * LONG_WARM_UP_SECONDS) await warmUp();
  const times = [...single.values()];
  const repeats = heat.some(({ problem }) => 'network' in problem) ? 1 : repeatsOf(Math.min(...times));
  const roundSeconds = (total(times) * repeats) / 1000;
  const affordable = Math.floor((plan.secondsPerCase * heat.length) / roundSeconds);
  const rounds = Math.max(LEAST_ROUNDS, Math.min(plan.rounds, affordable));
  for (let r = 0; r < rounds; r++) {
    await round(repeats, r, (c, ms) => c.samples.push(ms / repeats));
    progress((r + 1) / rounds);
  }
  for (const engine of engines) {
    for (const { name } of heat) if (engine.isAlive()) await engine.ask('dispose', { case: name });
  }
  return all.map(({ engine, which, first, samples, difference, failed }) => ({
    ...which,
    engine: engine.name,
    outcome: failed === undefined ? { first, samples, repeats, difference } : { failed },
  }));
}

const total = (numbers: Iterable<number>): number => [...numbers].reduce((sum, n) => sum + n, 0);

const repeatsOf = (fastest: number): number =>
  Math.max(1, Math.min(MOST_REPEATS, Math.ceil(SAMPLE_MS / fastest)));

/** Relative difference between two engines' results above which one of them is wrong. */
const TOLERANCE = 2e-3;

/** Limelight's command line from the start of its process; the samples are the second explanation. */
async function measureCold({ name, problem }: Case, plan: Plan): Promise<Measurement> {
  const engine = plan.engines[0]!;
  const [firsts, seconds]: [number[], number[]] = [[], []];
  try {
    if (problem.op !== 'explain') throw new RangeError(`${name} explains nothing`);
    const model = modelArgument(problem.network);
    const command = await builtCommand();
    for (let r = 0; r < Math.min(plan.rounds, COLD_ROUNDS); r++) {
      const [first, second] = await explainTwice(command, model, problem.methods[0]!);
      firsts.push(first);
      seconds.push(second);
    }
  } catch (error) {
    return { case: name, engine, outcome: { failed: (error as Error).message } };
  }
  return {
    case: name,
    engine,
    outcome: { first: median(firsts), samples: seconds, repeats: 1, difference: 0 },
  };
}

const COLD_ROUNDS = 5;
