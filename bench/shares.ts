// How much of what is possible: the share of the roofline, and of the best that any variant reaches on the same adapter.

import type { Results } from './results.ts';
import { roofShare } from './roofline.ts';
import { median } from './statistics.ts';

/** A measured variant of a case: its share of the roofline, and of the best that any variant reaches there. */
interface Share {
  readonly machine: string;
  readonly case: string;
  readonly variant: string;
  readonly ofRoofline: number;
  readonly ofBest: number;
}

/** What the engine chooses by itself, among its variants. */
export const CHOSEN = 'chosen';

/** The shares of Limelight's variants on an adapter, on the cases that have several. */
export function sharesOf({ environment, measurements, work, peaks }: Results): Share[] {
  const timed = measurements.flatMap(({ case: name, engine, variant = CHOSEN, outcome }) =>
    engine === 'limelight' && 'samples' in outcome && work[name]
      ? [{ case: name, variant, milliseconds: median(outcome.samples), work: work[name] }]
      : [],
  );
  return timed.flatMap(({ milliseconds, work, ...which }) => {
    const all = timed.filter((other) => other.case === which.case);
    if (all.length === 1) return [];
    const best = Math.min(...all.map((other) => other.milliseconds));
    const ofRoofline = roofShare(work, milliseconds, peaks);
    return [{ machine: environment.adapter, ...which, ofRoofline, ofBest: best / milliseconds }];
  });
}
