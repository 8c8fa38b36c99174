// What is written down of an evaluation: a line of JSON that says what is measured, then one for each picture.

import { LimelightError } from '../../engine/errors.ts';

/** Files of results do not fit together, or are not what they should be; the message names them. */
export class ResultsError extends LimelightError {}

/** Everything that decides what is measured: results may be put together where this is the same. */
export interface Settings {
  readonly version: string;
  readonly model: string;
  /** SHA-256 of the weights, and of preprocessing and class names. */
  readonly weights: string;
  readonly network: string;
  readonly layer: string;
  /** Whether maps keep what speaks against the class until they are upsampled. */
  readonly signed: boolean;
  readonly methods: readonly string[];
  readonly metrics: readonly string[];
  readonly data: string;
  /** How many pictures the whole data set has, and the SHA-256 of their names. */
  readonly pictures: number;
  readonly names: string;
}

/** Part `index` of `count`, from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** The first line of a file of results. */
export interface Header {
  readonly limelight: 'evaluation';
  readonly settings: Settings;
  readonly shard: Shard;
  readonly device: string;
}

/** Numbers as runs: value, how often, value, how often, .. */
export type Runs = readonly number[];

/** One map as it is kept for the report: a byte a value, 255 the maximum, in base 64. */
export interface KeptMap {
  readonly width: number;
  readonly height: number;
  readonly bytes: string;
}

/** One class of a picture. */
export interface MeasuredClass {
  readonly class: number;
  readonly className: string;
  readonly probability: number | null;
  readonly maps: Readonly<Record<string, KeptMap>>;
}

/** A picture that was measured: what its maps add to each metric's sums, by method and metric. */
export interface Measured {
  readonly name: string;
  readonly digest: string;
  readonly classes: readonly MeasuredClass[];
  readonly sums: Readonly<Record<string, Readonly<Record<string, Runs>>>>;
}

/** A picture that could not be measured, and why. */
export interface Damaged {
  readonly name: string;
  readonly error: string;
}

export type PictureLine = Measured | Damaged;

export function toRuns(values: ArrayLike<number>): Runs {
  const runs: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (runs.length > 0 && runs.at(-2) === values[i]) runs[runs.length - 1]!++;
    else runs.push(values[i]!, 1);
  }
  return runs;
}

export function fromRuns(runs: Runs): Float64Array {
  let length = 0;
  for (let i = 1; i < runs.length; i += 2) length += runs[i]!;
  const values = new Float64Array(length);
  for (let i = 0, at = 0; i < runs.length; i += 2) {
    values.fill(runs[i]!, at, at + runs[i + 1]!);
    at += runs[i + 1]!;
  }
  return values;
}

/** Where two evaluations differ in what they measure; undefined where they do not. */
export function difference(a: Settings, b: Settings): string | undefined {
  const names = Object.keys({ ...a, ...b }) as (keyof Settings)[];
  const name = names.find((one) => JSON.stringify(a[one]) !== JSON.stringify(b[one]));
  return name && `${name} is ${JSON.stringify(a[name])} in one and ${JSON.stringify(b[name])} in the other`;
}
