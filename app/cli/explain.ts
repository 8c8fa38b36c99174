// limelight explain, compare and demo: explanations computed, drawn, written and reported.

import { readFile } from 'node:fs/promises';
import { basename, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import {
  defaultMethods,
  disposeExplanation,
  type Explanation,
  explain,
  LayerError,
  methodOf,
  recogniseHead,
} from '../../cam/index.ts';
import { writeNpy } from '../../models/formats/npy.ts';
import { nodeOf } from '../../models/graph.ts';
import { classIndex, type Network, preprocess, visiblePixels } from '../../models/network.ts';
import type { Pixels } from '../../models/pixels.ts';
import { formatValue, renderOverlay } from '../image/overlay.ts';
import { renderSheet, type SheetRow } from '../image/sheet.ts';
import { writeWhole } from '../image/write.ts';
import { loadModel, loadPicture, openAnnounced, parseModel } from './load.ts';
import { progressLine } from './progress.ts';
import { UsageError } from './usage.ts';

export interface ExplainFlags {
  readonly model: string;
  readonly method?: string;
  readonly class?: string;
  readonly layer?: string;
  readonly device?: string;
  readonly out: string;
  readonly labels?: string;
  readonly raw?: boolean;
  readonly json?: boolean;
  readonly signed?: boolean;
}

const list = (text: string | undefined): string[] | undefined => text?.split(',').map((part) => part.trim());

/** Names that were typed are checked before anything slow begins; a wrong one is wrong usage. */
function checkNames(flags: ExplainFlags): void {
  try {
    const { entry } = parseModel(flags.model);
    for (const name of list(flags.method) ?? []) methodOf(name);
    if (flags.layer !== undefined) nodeOf(entry.graph, flags.layer);
    if (flags.labels === undefined) for (const name of list(flags.class) ?? []) classIndex(entry, name);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** The five methods, without CAM where it does not apply; that is said. */
function applicable(network: Network, layer: string | undefined): string[] {
  try {
    const head = recogniseHead(network.graph);
    if (layer === undefined || layer === head.featureMap) return [...defaultMethods];
    process.stderr.write(`CAM is left out: it explains "${head.featureMap}" only.\n`);
  } catch (error) {
    if (!(error instanceof LayerError)) throw error;
    process.stderr.write(`CAM is left out: ${error.message}\n`);
  }
  return defaultMethods.filter((name) => name !== 'cam');
}

/** An explanation with its numbers on the host and the files written of it. */
interface Shown {
  readonly explanation: Explanation;
  readonly title: string;
  readonly map: Float32Array<ArrayBuffer>;
  readonly upsampled: Float32Array<ArrayBuffer>;
  readonly size: readonly [height: number, width: number];
  readonly files: { overlay: string; map?: string; weights?: string };
}

const stem = (path: string) => basename(path, extname(path));

async function show(
  explanation: Explanation,
  pixels: Pixels,
  image: string,
  flags: ExplainFlags,
): Promise<Shown> {
  const [map, upsampled] = [await explanation.map.data(), await explanation.upsampled.data()];
  const { method, className, probability, logit, layer } = explanation;
  const title = methodOf(method).title;
  const base = join(flags.out, `${stem(image)}-${className.replace(/\W+/g, '_')}-${method}`);
  const high = map.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const size = [explanation.upsampled.shape[0]!, explanation.upsampled.shape[1]!] as const;
  const overlay = renderOverlay({
    pixels,
    map: { width: size[1], height: size[0], data: upsampled },
    low: flags.signed ? -high : 0,
    high,
    title,
    lines: [
      `${className}: probability ${formatValue(probability)}, logit ${formatValue(logit)}`,
      `${flags.model.split('=')[0]}, layer ${layer}`,
    ],
    ...(flags.signed && { signed: true }),
  });
  const files: Shown['files'] = { overlay: `${base}.png` };
  await writeWhole(files.overlay, overlay);
  if (flags.raw) {
    files.map = `${base}-map.npy`;
    await writeWhole(files.map, writeNpy(explanation.map.shape, map));
    if (explanation.weights) {
      files.weights = `${base}-weights.npy`;
      await writeWhole(files.weights, writeNpy(explanation.weights.shape, await explanation.weights.data()));
    }
  }
  return { explanation, title, map, upsampled, size, files };
}

/** The line of `--json`. */
function jsonLine(shown: Shown, image: string, network: Network, flags: ExplainFlags): string {
  const { explanation: e, map, upsampled, size, files } = shown;
  const peak = upsampled.indexOf(upsampled.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY));
  return JSON.stringify({
    image,
    model: flags.model,
    device: network.device.name,
    method: e.method,
    layer: e.layer,
    class: e.classIndex,
    className: e.className,
    logit: e.logit,
    probability: e.probability,
    map: {
      shape: e.map.shape,
      min: map.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
      max: map.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
      peak: [peak % size[1], Math.floor(peak / size[1])],
    },
    ...(e.weights && { weights: { shape: e.weights.shape } }),
    milliseconds: Math.round(e.milliseconds * 10) / 10,
    ...(e.notes.length > 0 && { notes: e.notes }),
    files,
  });
}

/** Explains pictures one by one; `sheet` adds a comparison of all methods and classes for each. */
export async function explainPictures(
  images: readonly string[],
  flags: ExplainFlags,
  sheet: boolean,
): Promise<void> {
  checkNames(flags);
  const pictures = await Promise.all(images.map(loadPicture));
  const device = await openAnnounced(flags.device);
  const network = await loadModel(device, flags.model, flags.labels);
  const methods = list(flags.method) ?? applicable(network, flags.layer);
  const table = new Table({
    head: ['picture', 'method', 'class', 'probability', 'logit', 'ms'],
    style: { head: [] },
  });
  const written: string[] = [];
  for (const [i, image] of images.entries()) {
    const pixels = visiblePixels(network, pictures[i]!);
    const input = preprocess(network, pictures[i]!);
    const progress = progressLine(basename(image));
    const classes = list(flags.class);
    const found = await explain(network, input, {
      methods,
      progress,
      ...(classes && { classes }),
      ...(flags.layer !== undefined && { layer: flags.layer }),
      ...(flags.signed && { signed: true }),
    });
    progress.done();
    const shown: Shown[] = [];
    for (const explanation of found) {
      const one = await show(explanation, pixels, image, flags);
      shown.push(one);
      written.push(...Object.values(one.files));
      const { className, probability, logit, milliseconds, notes } = explanation;
      if (flags.json) process.stdout.write(`${jsonLine(one, image, network, flags)}\n`);
      else {
        table.push([
          basename(image),
          one.title,
          className,
          probability.toFixed(3),
          logit.toFixed(3),
          milliseconds.toFixed(0),
        ]);
      }
      for (const note of notes) process.stderr.write(`${one.title}: ${note}\n`);
      disposeExplanation(explanation);
    }
    input.dispose();
    if (sheet) {
      const path = join(flags.out, `${stem(image)}-comparison.png`);
      await writeWhole(path, comparison(shown, pixels, image, network, flags));
      written.unshift(path);
    }
  }
  if (!flags.json) {
    process.stdout.write(`${table.toString()}\n`);
    for (const path of written) process.stdout.write(`wrote ${relative('.', path)}\n`);
  }
}

function comparison(
  shown: readonly Shown[],
  pixels: Pixels,
  image: string,
  network: Network,
  flags: ExplainFlags,
) {
  const rows = new Map<string, SheetRow & { cells: SheetRow['cells'][number][] }>();
  for (const { explanation: e, title, upsampled, size } of shown) {
    const label = `${e.className}: probability ${formatValue(e.probability)}, logit ${formatValue(e.logit)}`;
    if (!rows.has(label))
      rows.set(label, { label, cells: [{ title: 'input', caption: basename(image), pixels }] });
    rows.get(label)!.cells.push({
      title,
      caption: `${e.milliseconds.toFixed(0)} ms`,
      pixels,
      map: { width: size[1], height: size[0], data: upsampled },
      ...(flags.signed && { signed: true }),
    });
  }
  return renderSheet({
    title: `Where ${network.name} looks`,
    lines: [`layer ${shown[0]!.explanation.layer}, ${network.device.name}`],
    rows: [...rows.values()],
  });
}

/** What `npm start` shows: a shipped scene, a class for each digit in it, all methods. */
export async function demo(flags: { device?: string; out: string }): Promise<void> {
  const folder = fileURLToPath(new URL('../../models/images/', import.meta.url));
  const scenes = JSON.parse(await readFile(join(folder, 'scenes.json'), 'utf8')) as {
    file: string;
    digits: { class: string }[];
  }[];
  const scene = scenes[1]!;
  const classes = scene.digits.map((digit) => digit.class).join(',');
  await explainPictures(
    [join(folder, scene.file)],
    { ...flags, model: 'digit-scenes', class: classes },
    true,
  );
}
