// Taking turns: round r of every contestant comes before round r + 1 of any, so that what disturbs the machine disturbs all
// alike. Wrong results are not timed.

import { difference } from './compare.ts';
import type { Measurement } from './results.ts';
import { shuffled } from './statistics.ts';

/** One engine, or one of its variants, on one case. */
export interface Contestant extends Omit<Measurement, 'outcome'> {
  /** Prepares it and runs it once: `first` in milliseconds, `check` some of the result's numbers. */
  readonly prepare: () => Promise<{ readonly first: number; readonly check: readonly number[] }>;
  /** Milliseconds that `times` runs and reading the last result back took. */
  readonly run: (times: number) => Promise<number>;
}

interface Turns {
  readonly rounds: number;
  /** Seconds that all rounds may take; slow cases get fewer rounds, two at least. */
  readonly seconds: number;
  /** Whether short runs are repeated within a sample. */
  readonly repeated: boolean;
  /** What a case's result should be, where that is known; else it is what the first contestant finds. */
  readonly expected: ReadonlyMap<string, readonly number[]>;
  /** Told the share that is done, from 0 to 1. */
  readonly progress: (share: number) => void;
}

/** A sample takes at least this long where runs may be repeated for it. */
const SAMPLE_MS = 20;
const MOST_REPEATS = 1024;
/** A second round of warming up is left out where the first took longer than this: all is compiled by then. */
const LONG_WARM_UP_SECONDS = 5;
const LEAST_ROUNDS = 2;
/** Relative difference from the float64 reference from which a result is wrong, and between two engines' networks. */
export const WRONG = 1e-4;
const WRONG_BETWEEN = 2e-3;

interface State {
  first: number;
  difference: number;
  readonly samples: number[];
  repeats: number;
  failed?: string;
}

/** Measures contestants side by side, in their order. */
export async function takeTurns(all: readonly Contestant[], turns: Turns): Promise<Measurement[]> {
  const states = new Map(
    all.map((c): [Contestant, State] => [c, { first: 0, difference: 0, samples: [], repeats: 1 }]),
  );
  /** Does something with each contestant that has not failed; one that fails is out. */
  const each = async (
    order: readonly Contestant[],
    body: (c: Contestant, state: State) => Promise<void>,
  ): Promise<void> => {
    for (const contestant of order) {
      const state = states.get(contestant)!;
      if (state.failed !== undefined) continue;
      await body(contestant, state).catch((error: Error) => {
        state.failed = error.message;
      });
    }
  };
  /** One sample of each in turn, told in milliseconds a run. */
  const round = async (
    seed: number,
    repeats: (c: Contestant) => number,
    keep: (c: Contestant, ms: number) => void,
  ): Promise<void> => {
    // In another order each time, so that nobody always comes after the same neighbour.
    await each(shuffled(all, seed), async (c) => keep(c, (await c.run(repeats(c))) / repeats(c)));
  };

  const expected = new Map(turns.expected);
  await each(all, async (c, state) => {
    const { first, check } = await c.prepare();
    state.first = first;
    const right = expected.get(c.case) ?? check;
    expected.set(c.case, right);
    state.difference = difference(right, check);
    if (state.difference > (turns.expected.has(c.case) ? WRONG : WRONG_BETWEEN))
      throw new Error(
        `its result is wrong: off by ${state.difference.toExponential(1)} of the largest value`,
      );
  });
  const single = new Map<Contestant, number>();
  const warmUp = () =>
    round(
      0,
      () => 1,
      (c, ms) => single.set(c, ms),
    );
  await warmUp();
  if (total(single.values()) < 1000 * LONG_WARM_UP_SECONDS) await warmUp();
  if (turns.repeated) {
    await each(all, async (c, state) => {
      state.repeats = await repeatsOf(c, single.get(c)!);
    });
  }
  const timed = (r: number) =>
    round(
      r,
      (c) => states.get(c)!.repeats,
      (c, ms) => states.get(c)!.samples.push(ms),
    );
  const started = performance.now();
  await timed(0);
  const affordable = Math.floor((1000 * turns.seconds) / (performance.now() - started));
  const rounds = Math.max(LEAST_ROUNDS, Math.min(turns.rounds, affordable));
  for (let r = 1; r < rounds; r++) {
    turns.progress(r / rounds);
    await timed(r);
  }
  return all.map((contestant) => {
    const { case: name, engine, variant } = contestant;
    const { first, samples, repeats, difference, failed } = states.get(contestant)!;
    return {
      case: name,
      ...(variant !== undefined && { variant }),
      engine,
      outcome: failed === undefined ? { first, samples, repeats, difference } : { failed },
    };
  });
}

const total = (numbers: Iterable<number>): number => [...numbers].reduce((sum, n) => sum + n, 0);

/**
 * Runs in a sample: as many as let it take long enough, so that waiting for the device and reading the last result are a small
 * part of it, and not many more: browsers end a device that has seconds of work before it. That many are tried, since the time
 * of a single run is mostly waiting.
 */
async function repeatsOf({ run }: Contestant, single: number): Promise<number> {
  let [repeats, elapsed] = [1, single];
  while (elapsed < SAMPLE_MS && repeats < MOST_REPEATS) {
    const wanted = Math.min(8, Math.max(2, SAMPLE_MS / elapsed));
    repeats = Math.min(MOST_REPEATS, Math.ceil(repeats * wanted));
    elapsed = await run(repeats);
  }
  return repeats;
}
