// How far the weights of methods are from what they stand for, on the networks and pictures that are shipped:
//
//   of Grad-CAM, ShapleyCAM and Ablation-CAM, what each channel contributes to a class's probability, from its Shapley value;
//   of Grad-CAM++, the closed form of its weights from that of the true derivatives.
//
// Prints the tables of cam/README.md.

import { readFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { disposeExplanation, type Explanation, explain, observe, targets } from '../cam/index.ts';
import { type Device, openDevice, sum, tensor } from '../engine/index.ts';
import { catalogEntry, dryRun, loadNetwork, type Network, open, preprocess } from '../models/index.ts';
import { random } from '../models/train/data/random.ts';

const images = new URL('../models/images/', import.meta.url);

function pixelsOf(file: string) {
  const { width, height, data } = PNG.sync.read(readFileSync(new URL(file, images)));
  const rgb = Uint8Array.from(
    { length: 3 * width * height },
    (_, i) => data[4 * Math.floor(i / 3) + (i % 3)]!,
  );
  return { width, height, rgb };
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((total, x, i) => total + x * b[i]!, 0);
const cosine = (a: readonly number[], b: readonly number[]) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
const size = (a: readonly number[]) => a.reduce((total, x) => total + Math.abs(x), 0);
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

const termOf = async (e: Explanation, symbol: string): Promise<number[]> => [
  ...(await e.terms.find((term) => term.symbol === symbol)!.tensor.data()),
];

/** What of a channel's Shapley value each method says the channel contributes: its cosine and its distance, in medians. */
async function contributions(network: Network, files: readonly string[]): Promise<string[]> {
  const methods = ['grad-cam', 'shapley-cam', 'ablation-cam'];
  const found = new Map(
    methods.map((method) => [method, { cosines: [] as number[], distances: [] as number[] }]),
  );
  const errors: number[] = [];
  for (const file of files) {
    const trace = observe(network, preprocess(network, pixelsOf(file)));
    const sums = [...(await sum(trace.at().featureMap, [2, 3]).data())];
    for (const classIndex of network.classes.keys()) {
      const explanations = await explain(trace, {
        methods: ['shapley', ...methods],
        classes: [classIndex],
        target: (index) => targets.probability(index, network.probabilities),
      });
      const [truth, ...others] = explanations as [Explanation, ...Explanation[]];
      const phi = await termOf(truth, 'w_k');
      errors.push(size(await termOf(truth, 'e_k')) / size(phi));
      for (const e of others) {
        const weights = await termOf(e, 'w_k');
        const [S = 1] = e.method === 'ablation-cam' ? await termOf(e, 'S') : [];
        const worths = weights.map((w, k) => (e.method === 'ablation-cam' ? w * Math.abs(S) : w * sums[k]!));
        const { cosines, distances } = found.get(e.method)!;
        cosines.push(cosine(worths, phi));
        distances.push(size(worths.map((w, k) => w - phi[k]!)) / size(phi));
      }
      for (const e of explanations) disposeExplanation(e);
    }
    trace.dispose();
  }
  const error = median(errors);
  return methods.map((method) => {
    const { cosines, distances } = found.get(method)!;
    const shown = [median(cosines), Math.min(...cosines)].map((c) => c.toFixed(3));
    const off = [median(distances), Math.max(...distances)].map((d) => (100 * d).toFixed(0));
    return `| ${[network.name, method, cosines.length, ...shown, ...off, (100 * error).toFixed(1)].join(' | ')} |`;
  });
}

/** Grad-CAM++'s closed form from its true derivatives: cosines of the weights and of the maps. */
async function closedForm(
  network: Network,
  input: Parameters<typeof explain>[1],
  name: string,
): Promise<string> {
  const explanations = await explain(network, input as never, { methods: ['grad-cam++', 'grad-cam++-true'] });
  const [weights, maps] = await Promise.all(
    (['weights', 'map'] as const).map((part) =>
      Promise.all(explanations.map(async (e) => [...(await e[part]!.data())])),
    ),
  );
  const [w, m] = [weights!, maps!].map(([closed, exact]) => {
    const found = cosine(closed!, exact!);
    return Number.isNaN(found) ? 'one is blank' : found.toFixed(3);
  });
  return `| ${[name, explanations[0]!.layer, w, m].join(' | ')} |`;
}

/** A network of the catalogue with seeded random weights, scaled so that values keep their size. */
function seeded(device: Device, name: string, size: number): Network {
  const entry = catalogEntry(name);
  dryRun(entry.graph, [1, 3, size, size]);
  const next = random(1);
  const tensors = new Map(
    entry.graph.nodes.flatMap(({ parameters, traits: { statistics = [] } }) =>
      Object.entries(parameters).map(([short, { key, shape }]) => {
        const inputs = shape.slice(1).reduce((a, b) => a * b, 1);
        const length = shape.reduce((a, b) => a * b, 1);
        const one = () => {
          if (shape.length > 1) return (2 * next() - 1) * Math.sqrt(6 / inputs);
          return short === 'weight' || statistics.indexOf(short) === 1 ? 1 : 0.1 * (2 * next() - 1);
        };
        return [key, { shape, data: Float32Array.from({ length }, one) }] as const;
      }),
    ),
  );
  return loadNetwork(device, entry, tensors);
}

const device = await openDevice();
const shipped = async (name: string) => open(device, name);
const scenes = ['scene-1.png', 'scene-2.png', 'scene-3.png'];

console.log('| network | method | pairs | cosine | least | off by, % | most | error of the truth, % |');
console.log('|---|---|---|---|---|---|---|---|');
for (const [name, files] of [
  ['digit-scenes', scenes],
  ['digit-vit', scenes],
  ['cifar10-gap', ['mosaic-2x2.png']],
] as const)
  for (const row of await contributions(await shipped(name), files)) console.log(row);

console.log('\n| network | layer | cosine of weights | of maps |\n|---|---|---|---|');
const digits = await shipped('digit-scenes');
console.log(await closedForm(digits, preprocess(digits, pixelsOf('scene-1.png')), 'digit-scenes'));
for (const name of ['mobilenetv3_small_100', 'efficientnet_b0', 'convnext_tiny']) {
  const next = random(2);
  const values = Float32Array.from({ length: 3 * 64 * 64 }, () => 2 * next() - 1);
  const input = tensor(device, values, [1, 3, 64, 64]);
  console.log(await closedForm(seeded(device, name, 64), input, `${name}, seeded weights`));
}
const vit = await shipped('digit-vit');
console.log(await closedForm(vit, preprocess(vit, pixelsOf('scene-1.png')), 'digit-vit'));
process.exit(0);
