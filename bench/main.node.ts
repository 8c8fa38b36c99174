// The command line of the bench: chooses cases, conducts the run, shows and writes what came out.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Presets, SingleBar } from 'cli-progress';
import CliTable from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import { makeFolder } from '../engine/platform/node/folder.ts';
import { barsOf, isMet } from './bars.ts';
import { suites } from './cases.ts';
import { conduct, type Listener } from './conductor.node.ts';
import { engines } from './engines/index.ts';
import { currentLoad, environment } from './environment.node.ts';
import type { Work } from './problems.ts';
import { drawPlots } from './report/draw.node.ts';
import { html } from './report/html.ts';
import { type Table, tablesOf } from './report/tables.ts';
import type { Results } from './results.ts';
import { workOf } from './work.node.ts';

interface Options {
  readonly filter?: string;
  readonly engine?: string;
  readonly device?: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly json?: boolean;
  readonly out: string;
}

/** Engines that take part in each suite, beside Limelight. */
const takingPart: Readonly<Record<string, readonly string[]>> = {
  kernels: [],
  cam: [],
  peers: Object.keys(engines).filter((name) => name !== 'limelight'),
};

const positive = (text: string): number => {
  const n = Number(text);
  if (!(n > 0)) throw new InvalidArgumentError('expected a number above 0.');
  return n;
};

const command = new Command('bench')
  .description('times kernels, explanations, and other engines beside Limelight')
  .argument('<suite>', Object.keys(suites).join(', '))
  .option('--filter <text>', 'only cases whose name contains it, in any case of letters')
  .option('--engine <names>', 'only these peers, separated by commas')
  .option('--device <device>', 'native, gles or swiftshader (default: the first that opens)')
  .option('--rounds <n>', 'rounds of every case, unless it is slow', positive, 15)
  .option('--seconds <n>', 'seconds that the rounds of one case may take', positive, 60)
  .option('--json', 'print the results as JSON')
  .option('--out <dir>', 'folder for the data and the report', './limelight-out')
  .action(main);

async function main(suite: string, options: Options): Promise<void> {
  const all = suites[suite];
  if (all === undefined)
    command.error(`there is no suite "${suite}"; they are ${Object.keys(suites).join(', ')}`);
  const wanted = options.filter?.toLowerCase() ?? '';
  const cases = all.filter(({ name }) => name.toLowerCase().includes(wanted));
  if (cases.length === 0) {
    command.error(
      `no case contains "${options.filter}"; they are\n  ${all.map(({ name }) => name).join('\n  ')}`,
    );
  }
  const named = options.engine?.split(',');
  for (const name of named ?? []) {
    if (!(name in engines))
      command.error(`there is no engine "${name}"; they are ${Object.keys(engines).join(', ')}`);
  }
  // Before the measurements, which take long.
  await makeFolder(options.out).catch((cause: Error) => {
    throw new Error(`the folder ${options.out} cannot be made (${cause.message}); give another --out`, {
      cause,
    });
  });
  if (options.device !== undefined) process.env.LIMELIGHT_DEVICE = options.device;
  const load = currentLoad();
  const plan = {
    cases,
    engines: ['limelight', ...(named ?? takingPart[suite]!).filter((name) => name !== 'limelight')],
    variants: suite === 'kernels',
    rounds: options.rounds,
    secondsPerCase: options.seconds,
  };
  const run = await withProgress((listener) => conduct(plan, listener));
  const work: Record<string, Work> = {};
  for (const { name, problem } of cases) {
    const found = await workOf(problem);
    if (found) work[name] = found;
  }
  const results: Results = {
    suite,
    environment: environment(run.engines, { load, rounds: options.rounds, seconds: options.seconds }),
    peaks: run.peaks,
    work,
    measurements: run.measurements,
  };
  await write(results, options);
}

/** Shows progress on a terminal; on anything else only what is left out. */
async function withProgress<T>(body: (listener: Listener) => Promise<T>): Promise<T> {
  const bar = new SingleBar(
    { format: '{bar} {percentage} % {now}', clearOnComplete: true, hideCursor: true, stream: process.stderr },
    Presets.shades_classic,
  );
  const warnings: string[] = [];
  bar.start(1, 0, { now: '' });
  try {
    return await body({
      progress: (share, now) => bar.update(share, { now }),
      warn: (message) => warnings.push(message),
    });
  } finally {
    bar.stop();
    for (const warning of warnings) console.error(warning);
  }
}

async function write(results: Results, { json, out }: Options): Promise<void> {
  const tables = tablesOf(results);
  if (json) console.log(JSON.stringify(results, undefined, 1));
  else for (const table of tables) console.log(terminal(table));
  const bars = barsOf(results);
  if (bars.length > 0) console.error(`${bars.filter(isMet).length} of ${bars.length} bars met`);
  const file = join(out, `bench-${results.suite}-${slug(results.environment.adapter)}`);
  await writeFile(`${file}.json`, `${JSON.stringify(results, undefined, 1)}\n`);
  await writeFile(`${file}.html`, html(results, tables, await drawPlots(results)));
  console.error(`wrote ${file}.json and ${pathToFileURL(`${file}.html`).href}`);
}

/** The route in brackets at the end of an adapter's name: what tells two adapters of one machine apart. */
const slug = (adapter: string): string => /\((\w+)\)$/.exec(adapter)?.[1] ?? 'adapter';

function terminal({ title, head, rows, note }: Table): string {
  const table = new CliTable({ head: [...head], style: { head: [], border: [], compact: true } });
  table.push(...rows.map((row) => [...row]));
  return `\n${title}\n${table.toString()}${note ? `\n${note}` : ''}`;
}

await command.parseAsync().catch((error: Error) => command.error(`bench: ${error.message}`));
