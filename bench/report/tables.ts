// Tables of a run as rows of text, for the terminal, for Markdown and for HTML alike.

import { type Bar, barsOf, isMet } from '../bars.ts';
import { type Environment, labelOf, type Measurement, type Results } from '../results.ts';
import { type Peaks, roofShare } from '../roofline.ts';
import { CHOSEN, sharesOf } from '../shares.ts';
import { median, type Summary, summarise } from '../statistics.ts';

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What the head does not say. */
  readonly note?: string;
}

/** Three significant digits. */
export function digits(n: number): string {
  if (!Number.isFinite(n)) return '-';
  const decimals = n === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(n))));
  return n.toFixed(Math.min(decimals, 6));
}

const spread = ({ q1, q3 }: Summary) => `${digits(q1)} - ${digits(q3)}`;

/** Cases that are limited by arithmetic on this adapter are told in GFLOP/s, others in GB/s. */
function rateOf(results: Results, { case: name }: Measurement, milliseconds: number): string[] {
  const work = results.work[name];
  if (work === undefined) return ['', '', ''];
  return [
    digits(work.flops / milliseconds / 1e6),
    digits(work.bytes / milliseconds / 1e6),
    `${digits(100 * roofShare(work, milliseconds, results.peaks))} %`,
  ];
}

export function measurementTable(results: Results): Table {
  let last: string | undefined;
  const rows = results.measurements.map((m) => {
    const name = m.case === last ? '' : m.case;
    last = m.case;
    if ('failed' in m.outcome) return [name, labelOf(m), m.outcome.failed, '', '', '', '', '', '', ''];
    const { first, samples, difference } = m.outcome;
    const summary = summarise(samples);
    return [
      name,
      labelOf(m),
      digits(summary.median),
      spread(summary),
      String(summary.count),
      digits(first),
      ...rateOf(results, m, summary.median),
      difference === 0 ? '' : difference.toExponential(0),
    ];
  });
  return {
    title: 'Measurements',
    head: [
      'case',
      'engine',
      'median ms',
      'quartiles',
      'rounds',
      'first ms',
      'GFLOP/s',
      'GB/s',
      'of roofline',
      'differs by',
    ],
    rows,
    note:
      'A run allocates its result, and the result is read back whole (the last one of a sample, where runs are ' +
      'repeated). First: from host data to the first result, compilation included. FLOPs are those of the direct ' +
      'algorithm, bytes those of each tensor moved once. Differences are from float64, of networks from the first engine, relative ' +
      'to its largest value.',
  };
}

export function barTable(bars: readonly Bar[]): Table {
  return {
    title: 'Bars',
    head: ['case', 'Limelight ms', 'compared with', 'its ms', 'ratio', 'quartiles', 'bar', 'met'],
    rows: bars.map((bar) => [
      bar.what,
      digits(bar.ours),
      bar.against,
      bar.theirs === undefined ? '' : digits(bar.theirs),
      `${digits(bar.measured.median)} ${bar.unit}`,
      spread(bar.measured),
      `${bar.bound} ${bar.limit} ${bar.unit}`,
      isMet(bar) ? 'yes' : 'no',
    ]),
    note: 'Ratios are medians over rounds: speed against the best WebGPU peer, cost against what is named.',
  };
}

/** The measured peaks in words. */
export const rates = (peaks: Peaks): string =>
  `${digits(peaks.flops / 1e9)} GFLOP/s and ${digits(peaks.bandwidth / 1e9)} GB/s`;

/** What is told of the machine in addition to its adapter. */
export const machineOf = ({ cpu, cores, load, platform }: Environment): string =>
  [
    [cpu, `${cores} cores`, load === undefined ? undefined : `load ${load}`].filter(Boolean).join(', '),
    platform,
  ].join('; ');

/** What was measured, and when. */
export const takenOf = ({ commit, date, engines }: Environment): string =>
  `${commit ? `commit ${commit}` : `version ${engines.limelight?.version}`}, ${date}`;

export function environmentTable({ environment: e, peaks }: Results): Table {
  const engines = Object.entries(e.engines).map(([name, { version, adapter }]) => [
    name,
    `${version} on ${adapter}`,
  ]);
  return {
    title: 'Environment',
    head: ['', ''],
    rows: [
      ['adapter', e.adapter],
      ['measured peaks', rates(peaks)],
      ['machine', machineOf(e)],
      ...(e.features ? [['features', e.features.join(', ')]] : []),
      ['rounds', `at most ${e.rounds}, in ${e.seconds} s a case`],
      ['measured', `${takenOf(e)} UTC`],
      ...engines,
    ],
  };
}

/** A row for each adapter: what it can do, and what the kernels that Limelight chooses by itself reach of it. */
export function machinesTable(all: readonly Results[]): Table {
  const percent = (shares: readonly number[], of: (shares: readonly number[]) => number) =>
    shares.length === 0 ? '' : `${Math.round(100 * of(shares))} %`;
  const least = (shares: readonly number[]) => Math.min(...shares);
  return {
    title: 'Machines',
    head: [
      'adapter',
      'peaks',
      'of roofline, median',
      'of own best, median',
      'of own best, worst',
      'machine',
      'measured, UTC',
    ],
    rows: all.map((results) => {
      const chosen = sharesOf(results).filter(({ variant }) => variant === CHOSEN);
      const ofBest = chosen.map((share) => share.ofBest);
      return [
        results.environment.adapter,
        rates(results.peaks),
        percent(
          chosen.map(({ ofRoofline }) => ofRoofline),
          median,
        ),
        percent(ofBest, median),
        percent(ofBest, least),
        machineOf(results.environment),
        takenOf(results.environment),
      ];
    }),
  };
}

/** Everything that is said about a run. */
export function tablesOf(results: Results): Table[] {
  const bars = barsOf(results);
  return [environmentTable(results), measurementTable(results), ...(bars.length > 0 ? [barTable(bars)] : [])];
}

/** A table in Markdown. */
export function markdown({ head, rows }: Table): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}
