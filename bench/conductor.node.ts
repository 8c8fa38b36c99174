// Runs cases on engines, each in a process of its own, and lets them take turns.

import type { Case } from './cases.ts';
import { builtCommand, explainTwice } from './cold.node.ts';
import { expectedOf } from './compare.ts';
import { type EngineProcess, openEngine } from './engine-process.node.ts';
import { modelArgument } from './networks.node.ts';
import type { Measurement } from './results.ts';
import type { Peaks } from './roofline.ts';
import { median } from './statistics.ts';
import { type Contestant, takeTurns } from './turns.ts';

export interface Plan {
  readonly cases: readonly Case[];
  /** Names in engines/index.ts; what the first makes of a network is what the others' results are compared with. */
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
      found.push(
        ...all.map((which) => ({
          ...which,
          engine: engine.name,
          prepare: () => engine.ask('prepare', which),
          run: (times: number) => engine.ask('run', { ...which, times }),
        })),
      );
    }
  }
  return found;
}

/** Measures the cases of one heat on all engines. */
async function measureHeat(
  heat: readonly Case[],
  engines: readonly EngineProcess[],
  plan: Plan,
  progress: (share: number) => void,
): Promise<Measurement[]> {
  const kernels = heat.flatMap(({ name, problem }) => ('network' in problem ? [] : [{ name, problem }]));
  const measured = await takeTurns(await contestantsOf(heat, engines, plan), {
    rounds: plan.rounds,
    seconds: plan.secondsPerCase * heat.length,
    repeated: kernels.length === heat.length,
    expected: new Map(kernels.map(({ name, problem }) => [name, expectedOf(problem)])),
    progress,
  });
  for (const engine of engines) {
    for (const { name } of heat) if (engine.isAlive()) await engine.ask('dispose', { case: name });
  }
  return measured;
}

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
