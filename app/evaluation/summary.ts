// What all pictures together say of each method: every column of every metric, with its bootstrap interval.

import {
  addPicture,
  type Column,
  drawsOf,
  emptySums,
  estimate,
  metricOf,
  type Sums,
} from '../../cam/metrics/index.ts';
import { numberOf } from './measure.ts';
import { fromRuns, type PictureLine, type Settings } from './record.ts';

export interface Estimate {
  readonly metric: string;
  readonly column: Pick<Column, 'title' | 'better' | 'unit'>;
  readonly value: number;
  /** Ends of the interval of 95 %. */
  readonly low: number;
  readonly high: number;
  /** Pictures that were measured. */
  readonly n: number;
}

export interface MethodSummary {
  readonly method: string;
  readonly estimates: readonly Estimate[];
  /** The pictures that score least by the first metric, the worst first. */
  readonly worst: readonly { readonly name: string; readonly value: number }[];
}

export interface Summary {
  readonly pictures: number;
  /** Explained classes of all pictures. */
  readonly maps: number;
  readonly damaged: readonly { readonly name: string; readonly error: string }[];
  readonly methods: readonly MethodSummary[];
}

const WORST = 6;

/** Adds up lines in the order in which they come. */
export function summarise({ methods, metrics }: Settings, lines: Iterable<PictureLine>): Summary {
  const sums = new Map<string, Sums>();
  const worst = new Map<string, { name: string; value: number }[]>();
  const damaged: { name: string; error: string }[] = [];
  let [pictures, maps] = [0, 0];
  for (const line of lines) {
    if ('error' in line) {
      damaged.push({ name: line.name, error: line.error });
      continue;
    }
    pictures++;
    maps += line.classes.length;
    const draws = drawsOf(numberOf(line.digest));
    for (const [method, of] of Object.entries(line.sums)) {
      for (const [metric, runs] of Object.entries(of)) {
        const values = fromRuns(runs);
        const key = `${method}\n${metric}`;
        const sum = sums.get(key) ?? emptySums();
        sums.set(key, sum);
        addPicture(sum, draws, values);
        if (metric !== metrics[0]) continue;
        const [column] = metricOf(metric).columns;
        const list = [...(worst.get(method) ?? []), { name: line.name, value: column!.value(values) }];
        const sign = column!.better === 'lower' ? -1 : 1;
        worst.set(method, list.sort((a, b) => sign * (a.value - b.value)).slice(0, WORST));
      }
    }
  }
  return {
    pictures,
    maps,
    damaged,
    methods: methods.map((method) => ({
      method,
      worst: worst.get(method) ?? [],
      estimates: metrics.flatMap((metric) => {
        const sum = sums.get(`${method}\n${metric}`) ?? emptySums();
        return metricOf(metric).columns.map(({ title, better, unit, value }) => ({
          metric,
          column: { title, better, unit },
          ...estimate(sum, value),
          n: sum.pictures,
        }));
      }),
    })),
  };
}

/** A number as a table has it: a share in per cent with one digit. */
export const shown = (value: number, unit: Column['unit']): string =>
  Number.isNaN(value) ? '-' : unit === '%' ? (100 * value).toFixed(1) : value.toPrecision(3);
