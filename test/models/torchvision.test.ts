// Every architecture against PyTorch: keys and shapes as published; logits and Grad-CAM maps with seeded parameters,
// from references/make-references.py.

import { readFileSync } from 'node:fs';
import test, { type Test } from 'tape';
import { disposeExplanation, explain } from '../../cam/index.ts';
import { scope, tensor } from '../../engine/index.ts';
import { alexnet } from '../../models/architectures/alexnet.ts';
import { architectures } from '../../models/architectures/index.ts';
import { vgg } from '../../models/architectures/vgg.ts';
import { vit, vitTorchvision } from '../../models/architectures/vit.ts';
import { evaluate, type Graph, INPUT, nodeOf, shapesOf } from '../../models/graph.ts';
import { disposeNetwork, loadNetwork, type Network } from '../../models/network.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';
import { fingerprint, seededImages, seededTensors } from './references/seeded.ts';

interface Case {
  readonly gain: number;
  readonly input: readonly [number, number, number, number];
  readonly logits: readonly (readonly number[])[];
  readonly class: number;
  readonly layer?: string;
  readonly map?: { readonly shape: readonly number[]; readonly data: readonly number[] };
}

const { cases, published } = JSON.parse(
  readFileSync(new URL('./references/torchvision.json', import.meta.url), 'utf8'),
) as {
  cases: Record<string, Case>;
  published: Record<string, ReturnType<typeof fingerprint>>;
};

/** Largest error relative to the largest reference value; what float32 gives is well below. */
const TOLERANCE = 1e-4;

const hidden = 64;
const small = { image: 48, patch: 8, width: 48, depth: 3, heads: 4, classes: 10 };
/** Cases whose graph is not the table's with ten classes: less wide than published where that takes too much memory. */
const reduced: Readonly<Record<string, () => Graph>> = {
  ...Object.fromEntries(
    ([11, 13, 16, 19] as const).flatMap((depth) => [
      [`vgg${depth}`, () => vgg(depth, { classes: 10, hidden })],
      [`vgg${depth}_bn`, () => vgg(depth, { classes: 10, hidden, norm: true })],
    ]),
  ),
  alexnet: () => alexnet(10, hidden),
  vit: () => vit(small),
  vit_torchvision: () => vitTorchvision(small),
};

test('every architecture has the published keys and shapes', (t) => {
  t.deepEqual(Object.keys(architectures).sort(), Object.keys(published).sort(), 'the same networks');
  for (const [name, { graph, targetLayer, inputSize }] of Object.entries(architectures)) {
    t.deepEqual(fingerprint(graph()), published[name], name);
    const shapes = shapesOf(graph(), [2, 3, ...inputSize]);
    t.deepEqual(shapes.get(graph().output), [2, name === 'nin_cifar10' ? 10 : 1000], `${name}: logits`);
    t.ok(shapes.get(targetLayer)!.length >= 3, `${name}: ${targetLayer} has room for a map`);
  }
  t.end();
});

async function network(name: string): Promise<Network> {
  const graph = (reduced[name] ?? (() => architectures[name]!.graph(10)))();
  const { gain } = cases[name]!;
  const description = {
    name,
    summary: '',
    graph,
    preprocessing: { channels: 3, scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: Array.from({ length: 10 }, (_, i) => String(i)),
    probabilities: 'softmax',
    targetLayer: architectures[name]?.targetLayer ?? 'norm',
  } as const;
  return loadNetwork(await device(), description, seededTensors(graph, gain));
}

async function close(t: Test, got: Float32Array, expected: readonly number[], what: string): Promise<void> {
  const error = relativeError(got, Float64Array.from(expected));
  t.ok(error < TOLERANCE, `${what}: relative error ${error.toExponential(1)}`);
}

for (const [name, expected] of Object.entries(cases)) {
  test(`${name} computes what PyTorch computes`, async (t) => {
    const loaded = await network(name);
    const { data, shape } = seededImages(expected.input);
    const images = tensor(loaded.device, data, shape);
    const { graph, parameters } = loaded;
    const logits = scope(
      () => evaluate(graph, parameters, new Map([[INPUT, images]]), [graph.output]).get(graph.output)!,
    );
    await close(t, await logits.data(), expected.logits.flat(), 'logits of two images');
    if (expected.map !== undefined) {
      t.equal(nodeOf(graph, loaded.targetLayer).name, expected.layer, 'target layer');
      const one = tensor(loaded.device, data.subarray(0, data.length / 2), [1, ...shape.slice(1)]);
      const [found] = await explain(loaded, one, { methods: ['grad-cam'], signed: true });
      t.equal(found!.classIndex, expected.class, 'class');
      t.deepEqual(found!.map.shape, expected.map.shape, 'size of the map');
      await close(t, await found!.map.data(), expected.map.data, 'Grad-CAM');
      disposeExplanation(found!);
      one.dispose();
    }
    logits.dispose();
    images.dispose();
    disposeNetwork(loaded);
  });
}
