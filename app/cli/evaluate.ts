// limelight evaluate: a data set in; a line for each picture, a table with intervals and a report out.

import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { methodOf } from '../../cam/index.ts';
import { metricOf } from '../../cam/metrics/index.ts';
import { visible } from '../../engine/visible.ts';
import { catalog } from '../../models/catalog.ts';
import { nodeOf } from '../../models/graph.ts';
import type { Network, NetworkDescription } from '../../models/network.ts';
import { visiblePixels } from '../../models/preprocess.ts';
import { layersThatDiffer } from '../../models/target-layer.ts';
import { permutation, random } from '../../models/train/data/random.ts';
import { type DataSet, DataSetError, type DataSetItem } from '../datasets/data-set.ts';
import { openFiles } from '../datasets/files.node.ts';
import { mosaicsOf } from '../datasets/mosaics.node.ts';
import { openScenes } from '../datasets/scenes.node.ts';
import { conclude, type PixelsOf } from '../evaluation/conclude.node.ts';
import {
  isPictureFault,
  measure,
  type Plan,
  type Prepared,
  picturesTogether,
  prepare,
  rowsOf,
} from '../evaluation/measure.ts';
import type { Header, PictureLine, Settings, Shard } from '../evaluation/record.ts';
import { assertWhole, openResults, writeResults } from '../evaluation/results.node.ts';
import { partOf, shardOf } from '../evaluation/shard.ts';
import { type Summary, shown } from '../evaluation/summary.ts';
import { assertWritable } from '../image/write.node.ts';
import { asUsage, UsageError } from './errors.ts';
import { endWithParent, inJobs } from './jobs.ts';
import {
  applicableMethods,
  assertExplains,
  chooseModel,
  dryRunOf,
  type ModelChoice,
  weightsOf,
} from './load.ts';
import type { ModelArguments } from './options.ts';
import { deviceLine, deviceName, withNetwork } from './pipeline.ts';
import { bar, heartbeat, note, print } from './progress.ts';
import { table } from './report.ts';

export interface EvaluateArguments extends ModelArguments {
  readonly data: string;
  readonly out: string;
  readonly method?: readonly string[];
  readonly metric?: readonly string[];
  readonly layer?: readonly string[];
  readonly signed?: boolean;
  readonly device?: string;
  readonly masks?: string;
  readonly mosaic?: number;
  readonly count?: number;
  readonly seed: number;
  readonly shard?: Shard;
  readonly resume?: boolean;
  readonly jobs: number;
}

/** Scenes that are drawn unless a number is given. */
const SCENES = 300;
/** Side of a mosaic's cell where nothing says the network's size. */
const CELL = 32;

export async function evaluateCommand(asked: EvaluateArguments): Promise<void> {
  asked.method?.forEach((name) => {
    asUsage(() => methodOf(name));
  });
  asked.metric?.forEach((name) => {
    asUsage(() => metricOf(name));
  });
  if (catalog.get(asked.model)?.text)
    throw new UsageError(`${asked.model} reads a text; evaluate takes models whose classes are their own`);
  const choice = await chooseModel(asked, true);
  const { graph, targetLayer } = choice.description;
  const every = asked.layer?.join() === 'all' ? layersThatDiffer(dryRunOf(choice)) : undefined;
  const named = (every?.map(({ name }) => name) ?? asked.layer)?.map(
    (layer) => asUsage(() => nodeOf(graph, layer)).name,
  );
  const layers = named ?? [targetLayer];
  const { methods, note: leftOut } = asked.method
    ? { methods: asked.method, note: undefined }
    : applicableMethods(choice, layers);
  assertExplains(choice, methods, layers);
  if (leftOut) note(leftOut);
  const data = await openData(asked, choice.description);
  for (const remark of data.notes) note(remark);
  const classes = classesOf(data.labels, choice.description);
  const { shard, from } = asked.shard
    ? { shard: asked.shard, from: undefined }
    : asUsage(() => shardOf(process.env));
  if (asked.jobs > 1 && shard.count > 1)
    throw new UsageError(
      '--jobs divides what one machine measures, --shard and schedulers divide among machines',
    );
  if (from) note(`part ${shard.index} of ${shard.count}, by ${from}`);
  await assertWritable(asked.out);
  const metrics = asked.metric ?? (await defaultMetrics(data));
  const signed = asked.signed ?? false;
  const taken = {
    layer: named?.join(', ') ?? layersOf(choice, methods),
    signed,
    methods: rowsOf(methods, layers),
    metrics,
  };
  const settings = await settingsOf(asked, choice, data, taken);
  if (asked.jobs > 1) {
    const parts = await inJobs(asked.jobs, { print: false, advice: '; --resume goes on' });
    const paths = parts.map((part) => join(asked.out, fileOf(part)));
    return tell(paths, asked.out, pixelsFrom(data, choice.description));
  }
  const path = join(asked.out, fileOf(shard));
  await withNetwork(choice, asked.device, async (network) => {
    note(deviceLine(network.device));
    const header: Header = { limelight: 'evaluation', settings, shard, device: deviceName(network.device) };
    const plan = {
      network,
      ...(named && { layers: named }),
      signed,
      methods,
      metrics: metrics.map(metricOf),
      classes,
      ...(data.size && { size: data.size }),
    };
    await measureAll(path, header, partOf(data.items, shard), asked.resume ?? false, plan);
    if (shard.count > 1) {
      note(`wrote ${path}; merge puts the parts together`);
      return;
    }
    await tell([path], asked.out, pixelsFrom(data, network));
  });
}

/** The layers at which methods are taken where none is named: the network's, and after it those of methods with others. */
function layersOf(choice: ModelChoice, methods: readonly string[]): string {
  const { targetLayer } = choice.description;
  const others = methods.flatMap((name) => {
    const layer = methodOf(name).layerOf?.(dryRunOf(choice));
    return layer === undefined || layer === targetLayer ? [] : [`${name} at ${layer}`];
  });
  return [targetLayer, ...others].join(', ');
}

/** The name of a part's file. */
const fileOf = ({ index, count }: Shard): string =>
  count === 1 ? 'evaluation.jsonl' : `evaluation-${index}-of-${count}.jsonl`;

/** Metrics of where objects are if the first picture says so, else of what the map leaves of the picture. */
async function defaultMetrics({ items }: DataSet): Promise<string[]> {
  for (const item of items) {
    try {
      const { objects } = await (await item.read()).decode();
      const isBoxed = objects.some(({ boxes }) => boxes.length > 0);
      return isBoxed ? ['pointing', 'energy', 'box-acc', 'pxap'] : ['confidence', 'adcc'];
    } catch (error) {
      if (!isPictureFault(error)) throw error;
    }
  }
  return ['confidence', 'adcc'];
}

async function openData(asked: EvaluateArguments, { preprocessing }: NetworkDescription): Promise<DataSet> {
  const { data: path, masks, mosaic, count, seed, background } = asked;
  if (path === 'scenes') {
    if (masks !== undefined || mosaic !== undefined) {
      throw new UsageError('--masks and --mosaic are for data sets in files, not for scenes');
    }
    return openScenes({ folder: process.env.LIMELIGHT_DATA ?? '.', count: count ?? SCENES, seed });
  }
  const whole = await openFiles(path, { masks, background });
  const some = count !== undefined && count < whole.items.length ? drawn(whole, count, seed) : whole;
  if (mosaic === undefined) return some;
  const side = preprocessing.size && Math.floor(Math.min(...preprocessing.size) / mosaic);
  return mosaicsOf(some, { n: mosaic, seed, cell: side ?? CELL });
}

/** So many pictures of a data set, drawn by chance, in their order. */
const drawn = (data: DataSet, count: number, seed: number): DataSet => {
  const chosen = [...permutation(data.items.length, random(seed)).subarray(0, count)].sort((a, b) => a - b);
  return { ...data, items: chosen.map((i) => data.items[i]!) };
};

/** The network's class of each label: by its whole name, or one of its names between commas, or by its number. */
function classesOf(labels: readonly string[], { classes, name }: NetworkDescription): Map<string, number> {
  const plain = (text: string) => text.trim().toLowerCase().replaceAll('_', ' ');
  const byName = new Map<string, number>();
  // Whole names go before their parts, names before numbers.
  classes.forEach((label, i) => {
    for (const part of label.split(',')) if (!byName.has(plain(part))) byName.set(plain(part), i);
  });
  classes.forEach((label, i) => {
    byName.set(plain(label), i);
  });
  const found = new Map<string, number>();
  const unknown: string[] = [];
  for (const label of labels) {
    const asNumber = /^\d+$/.test(label) && Number(label) < classes.length ? Number(label) : undefined;
    const index = byName.get(plain(label)) ?? asNumber;
    if (index === undefined) unknown.push(label);
    else found.set(label, index);
  }
  if (unknown.length === 0) return found;
  const some = unknown.slice(0, 5).join(', ') + (unknown.length > 5 ? ', …' : '');
  if (found.size > 0) {
    note(`${unknown.length} of ${labels.length} labels are no classes of ${name} and are left out: ${some}`);
    return found;
  }
  throw new DataSetError(
    `none of the data set's labels is a class of ${name}: ${some}; its classes are ${classes.slice(0, 5).join(', ')}, …; ` +
      '--labels names them otherwise',
  );
}

async function settingsOf(
  { data: path, mosaic, seed }: EvaluateArguments,
  choice: ModelChoice,
  data: DataSet,
  chosen: Pick<Settings, 'layer' | 'signed' | 'methods' | 'metrics'>,
): Promise<Settings> {
  const { name, preprocessing, classes } = choice.description;
  const sha = (...parts: (string | Uint8Array)[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  const weights = [...(await weightsOf(choice)())].flatMap(([key, { shape, data: values }]) => [
    JSON.stringify([key, shape]),
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  ]);
  const { version } = createRequire(import.meta.url)('limelight/package.json') as { version: string };
  const what = mosaic === undefined ? path : `mosaics of ${mosaic} x ${mosaic} of ${path}`;
  return {
    version,
    model: name,
    weights: sha(...weights),
    network: sha(JSON.stringify([preprocessing, classes])),
    ...chosen,
    data: path === 'scenes' ? `scenes, seed ${seed}` : what,
    pictures: data.items.length,
    names: sha(JSON.stringify(data.items.map((item) => item.name))),
  };
}

async function measureAll(
  path: string,
  header: Header,
  items: readonly DataSetItem[],
  resume: boolean,
  plan: Plan,
): Promise<void> {
  const writer = await writeResults(path, header, resume);
  const shown = bar('{value}/{total} {bar} {eta_formatted} left, {name}');
  const beat = heartbeat();
  const started = performance.now();
  let [measured, position, damaged] = [0, 0, 0];
  const interrupted = () => {
    shown.stop();
    note(`stopped: ${position} of ${items.length} pictures are in ${path}; --resume goes on`);
    process.exit(130);
  };
  process.once('SIGINT', interrupted);
  endWithParent(interrupted);
  shown.start(items.length, 0, { name: '' });
  /** Counts a picture, and writes what is new of it. */
  const finish = (name: string, line?: PictureLine) => {
    if (line) writer.add(line);
    if (line && 'error' in line) {
      damaged++;
      note(`left out: ${line.error}`);
    } else if (line) measured++;
    position++;
    shown.update(position, { name: visible(name) });
    const left = ((performance.now() - started) / Math.max(1, measured)) * (items.length - position);
    beat(`${position} of ${items.length} pictures, about ${Math.ceil(left / 60_000)} minutes left`);
  };
  const together = picturesTogether(plan);
  let waiting: Prepared[] = [];
  const progress = (what: string) => {
    shown.update(position, { name: visible(what) });
    beat(`${position} of ${items.length} pictures, at ${what}`);
  };
  const flush = async () => {
    if (waiting.length > 0)
      for await (const line of measure({ ...plan, progress }, waiting)) finish(line.name, line);
    waiting = [];
  };
  try {
    for (const { name, read } of items) {
      try {
        const { digest, decode } = await read();
        if (writer.done.get(name) === digest) finish(name);
        else {
          const prepared = prepare(plan, await decode(), { name, digest });
          if (prepared) waiting.push(prepared);
          else finish(name, { name, digest, classes: [], sums: {} });
        }
      } catch (error) {
        if (!isPictureFault(error)) throw error;
        finish(name, { name, error: error.message });
      }
      if (waiting.length === together) await flush();
    }
    await flush();
  } finally {
    shown.stop();
    writer.close();
    process.removeListener('SIGINT', interrupted);
  }
  if (items.length > 0 && damaged === items.length) {
    throw new DataSetError(`none of ${items.length} pictures could be measured; the reasons are above`);
  }
}

/** Shows what files of results say together, and writes the report; refuses parts that do not make a whole. */
export async function tell(paths: readonly string[], out: string, pixelsOf?: PixelsOf): Promise<void> {
  const results = openResults(paths);
  try {
    assertWhole(results);
    const { summary, files } = await conclude(results, out, pixelsOf);
    print(`${summaryTable(summary)}\n`);
    for (const file of files) note(`wrote ${file}`);
  } finally {
    results.close();
  }
}

/** Methods beside columns of metrics, whichever are more downwards: a terminal is narrow. */
function summaryTable({ methods, pictures, maps, damaged }: Summary): string {
  const columns = methods[0]?.estimates ?? [];
  const cells = [
    ['', ...methods.map(({ method }) => method), 'n'],
    ...columns.map(({ column, n }, i) => [
      `${column.title}${column.better ? `, ${column.better} is better` : ''}`,
      ...methods.map(({ estimates }) => {
        const { value, low, high } = estimates[i]!;
        const [at, from, to] = [value, low, high].map((one) => shown(one, column.unit));
        return `${at} [${from}, ${to}]`;
      }),
      String(n),
    ]),
  ];
  const upright =
    methods.length > columns.length ? cells[0]!.map((_, i) => cells.map((row) => row[i]!)) : cells;
  const [head, ...rows] = upright;
  const lost = damaged.length > 0 ? `; ${damaged.length} pictures were left out` : '';
  return (
    `${table(head!, rows)}\n` +
    `${maps} maps a method on ${pictures} pictures, 95 % intervals by the bootstrap over pictures${lost}`
  );
}

/** Reads a picture of the data set again, for the report. */
const pixelsFrom = (data: DataSet, network: Pick<Network, 'preprocessing'>): PixelsOf => {
  const items = new Map(data.items.map((item) => [item.name, item]));
  return async (name) => {
    const item = items.get(name);
    return item && visiblePixels(network, (await (await item.read()).decode()).pixels);
  };
};
