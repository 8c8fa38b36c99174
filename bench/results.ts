// What a run leaves behind: measurements and the environment they were made in. Everything shown is derived from it.

import type { Work } from './problems.ts';
import type { Peaks } from './roofline.ts';

/** One engine, or one variant of a kernel, on one case. */
export interface Measurement {
  readonly case: string;
  readonly engine: string;
  /** Which of the engine's ways to compute it; left out for what users call. */
  readonly variant?: string;
  readonly outcome: Outcome;
}

export type Outcome =
  | {
      /** Milliseconds from nothing to the first result: loading, compiling, running. */
      readonly first: number;
      /** Milliseconds a run, one for each round. */
      readonly samples: readonly number[];
      /** Runs queued in one sample before the last one's result is read back. */
      readonly repeats: number;
      /** Largest difference from what its result should be (of networks: from the first engine's), relative to the largest value. */
      readonly difference: number;
    }
  | { readonly failed: string };

/** What numbers depend on beside the code. A browser does not tell the processor and its load. */
export interface Environment {
  readonly date: string;
  readonly commit?: string;
  /** What Limelight ran on. */
  readonly adapter: string;
  readonly cpu?: string;
  readonly cores: number;
  readonly platform: string;
  /** WebGPU's optional features that the adapter has, and its limits, as a page tells them. */
  readonly features?: readonly string[];
  readonly limits?: Readonly<Record<string, number>>;
  /** Of each engine: its version, and what it ran on. */
  readonly engines: Readonly<Record<string, { readonly version: string; readonly adapter: string }>>;
  /** Load average at the start; above about half the cores the times mean little, the ratios still something. */
  readonly load?: number;
  /** Rounds of each case at most, and seconds that they might take. */
  readonly rounds: number;
  readonly seconds: number;
}

export interface Results {
  readonly suite: string;
  readonly environment: Environment;
  readonly peaks: Peaks;
  /** Of each case that has a roofline. */
  readonly work: Readonly<Record<string, Work>>;
  readonly measurements: readonly Measurement[];
}

/** Name of what was measured, for people. */
export const labelOf = ({ engine, variant }: Pick<Measurement, 'engine' | 'variant'>): string =>
  variant === undefined ? engine : `${engine}: ${variant}`;

/** Milliseconds of each round of an engine on a case; undefined where it was not measured or failed. */
export function samplesOf(results: Results, name: string, engine: string): readonly number[] | undefined {
  const found = results.measurements.find(
    (m) => m.case === name && m.engine === engine && m.variant === undefined,
  );
  return found && 'samples' in found.outcome ? found.outcome.samples : undefined;
}
