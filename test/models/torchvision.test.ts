// Every architecture against PyTorch: keys and shapes as published; logits and Grad-CAM maps with seeded parameters,
// from references/make-references.py.

import { readFileSync } from 'node:fs';
import test, { type Test } from 'tape';
import { disposeExplanation, explain } from '../../cam/index.ts';
import { scope, tensor } from '../../engine/index.ts';
import { alexnet } from '../../models/architectures/alexnet.ts';
import { type Architecture, adaptTensors, architectures } from '../../models/architectures/index.ts';
import { vgg } from '../../models/architectures/vgg.ts';
import { vit, vitTorchvisionKeys } from '../../models/architectures/vit.ts';
import { shapesOf } from '../../models/dry-run.ts';
import { evaluate, INPUT, nodeOf } from '../../models/graph.ts';
import { disposeNetwork, loadNetwork, type Network } from '../../models/network.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';
import { type Fingerprint, fingerprint, seededImages, seededTensors } from './references/seeded.ts';

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
  published: Record<string, Fingerprint>;
};

/** Largest error relative to the largest reference value; what float32 gives is well below. */
const TOLERANCE = 1e-4;

const hidden = 64;
const small = { image: 48, patch: 8, width: 48, depth: 3, heads: 4, classes: 10 };
/** Cases whose graph is not the table's with ten classes: less wide than published where that takes too much memory. */
const reduced: Readonly<Record<string, Architecture>> = {
  ...Object.fromEntries(
    ([11, 13, 16, 19] as const).flatMap((depth) =>
      [false, true].map((norm) => {
        const name = `vgg${depth}${norm ? '_bn' : ''}`;
        return [name, { ...architectures[name]!, graph: () => vgg(depth, { classes: 10, hidden, norm }) }];
      }),
    ),
  ),
  alexnet: { ...architectures.alexnet!, graph: () => alexnet(10, hidden) },
  vit: { graph: () => vit(small), targetLayer: 'norm', inputSize: [48, 48] },
  deit: { graph: () => vit({ ...small, distilled: true }), targetLayer: 'norm', inputSize: [48, 48] },
  vit_torchvision: {
    graph: () => vit(small),
    targetLayer: 'norm',
    inputSize: [48, 48],
    otherKeys: vitTorchvisionKeys,
  },
};

/** A reference's name without its publisher; whether it has the keys of another than the graph's. */
const named = (reference: string) => ({
  name: reference.replace('timm/', ''),
  foreign: reference.startsWith('timm/') || /^vit_([bl]_|torchvision)/.test(reference),
});

test('every architecture has the published keys and shapes', (t) => {
  const covered = new Set(Object.keys(published).map((reference) => named(reference).name));
  t.deepEqual([...covered].sort(), Object.keys(architectures).sort(), 'the same networks');
  for (const [reference, expected] of Object.entries(published)) {
    const { name, foreign } = named(reference);
    const { graph, otherKeys } = architectures[name]!;
    // timm's ResNets have torchvision's keys; their other keys are Hugging Face's.
    const renamed = name.startsWith('resnet') ? undefined : otherKeys?.(graph());
    const other = foreign ? (renamed ?? new Map()) : undefined;
    t.deepEqual(fingerprint(graph(), other), expected, reference);
  }
  for (const [name, { graph, targetLayer, inputSize }] of Object.entries(architectures)) {
    const shapes = shapesOf(graph(), [2, 3, ...inputSize]);
    t.deepEqual(shapes.get(graph().output), [2, inputSize[0] === 32 ? 10 : 1000], `${name}: logits`);
    t.ok(shapes.get(targetLayer)!.length >= 3, `${name}: ${targetLayer} has room for a map`);
  }
  t.end();
});

test('published state dicts: counters, auxiliary classifiers, first keys, flattened weights', (t) => {
  const zeros = (shape: readonly number[]) => ({
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  const keysOf = (name: string, extra: Readonly<Record<string, readonly number[]>>) => {
    const architecture = architectures[name]!;
    const graph = architecture.graph();
    const tensors = new Map(Object.entries(extra).map(([key, shape]) => [key, zeros(shape)]));
    return [...adaptTensors(architecture, graph, tensors)].map(([key, { shape }]) => `${key} ${shape}`);
  };
  t.deepEqual(keysOf('googlenet', { 'aux1.fc1.bias': [2], 'fc.bias': [3], 'auxiliary.bias': [4] }), [
    'fc.bias 3',
    'auxiliary.bias 4',
  ]);
  const layer = 'features.denseblock2.denselayer11';
  t.deepEqual(
    keysOf('densenet121', { [`${layer}.norm.1.weight`]: [3], [`${layer}.conv.2.weight`]: [1, 1, 3, 3] }),
    [`${layer}.norm1.weight 3`, `${layer}.conv2.weight 1,1,3,3`],
  );
  t.deepEqual(
    keysOf('mobilenetv3_small_100', {
      'conv_head.weight': [1024, 576, 1, 1],
      'classifier.weight': [7, 1, 1, 1],
    }),
    ['classifier.0.weight 1024,576', 'classifier.3.weight 7,1,1,1'],
    'only a weight of the right size is flattened',
  );
  t.throws(
    () => keysOf('vgg11', { 'head.fc.bias': [1000], 'classifier.6.bias': [1000] }),
    /classifier\.6\.bias twice, as head\.fc\.bias and as classifier\.6\.bias/,
  );
  t.end();
});

test("Hugging Face's and timm's keys are renamed, queries, keys and values packed", (t) => {
  const apart = (name: string, keys: readonly RegExp[]) => {
    const { graph: make, otherKeys } = architectures[name]!;
    const graph = make(7);
    const tensors = seededTensors(graph);
    const theirs = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    const names = [...otherKeys!(graph)].filter(([key]) => keys.some((pattern) => pattern.test(key)));
    for (const [key, own] of names) {
      const { shape, data } = tensors.get(own)!;
      if (!key.includes('.qkv.')) theirs.set(key, { shape: shape.filter((n, i) => n > 1 || i < 2), data });
      else
        for (const [i, part] of ['query', 'key', 'value'].entries()) {
          const size = data.length / 3;
          const third = {
            shape: [shape[0]! / 3, ...shape.slice(1)],
            data: data.slice(i * size, (i + 1) * size),
          };
          theirs.set(key.replace('.qkv.', `.${part}.`), third);
        }
    }
    const adapted = adaptTensors(architectures[name]!, graph, theirs);
    t.equal(adapted.size, tensors.size, `${name}: every tensor`);
    for (const [key, { shape, data }] of tensors) {
      t.deepEqual(adapted.get(key)?.shape, shape, key);
      if (!adapted.get(key)?.data.every((value, i) => value === data[i])) t.fail(`${name}: ${key}`);
    }
  };
  apart('vit_tiny_patch16_224', [/^vit\./, /^classifier\./]);
  apart('deit_tiny_distilled_patch16_224', [/^deit\./, /_classifier\./]);
  apart('resnet18', [/^resnet\./, /^classifier\.1/]);
  apart('convnext_tiny', [/^convnext\./, /^classifier\.(weight|bias)/]);
  apart('convnext_tiny', [/^stem\./, /^stages\./, /^head\./]);
  const { otherKeys, graph } = architectures.resnet50!;
  const theirs = otherKeys!(graph());
  for (const [key, own] of [
    [
      'resnet.encoder.stages.1.layers.0.shortcut.normalization.running_mean',
      'layer2.0.downsample.1.running_mean',
    ],
    ['resnet.encoder.stages.3.layers.2.layer.1.convolution.weight', 'layer4.2.conv2.weight'],
    ['resnet.embedder.embedder.normalization.weight', 'bn1.weight'],
  ] as const) {
    t.equal(theirs.get(key), own);
  }
  t.end();
});

async function network(reference: string): Promise<Network> {
  const { name, foreign } = named(reference);
  const architecture = reduced[name] ?? architectures[name]!;
  const { targetLayer, otherKeys } = architecture;
  const graph = architecture.graph(10);
  const other = (foreign && otherKeys?.(graph)) || new Map();
  const tensors = seededTensors(graph, cases[reference]!.gain, other);
  const description = {
    name: reference,
    summary: '',
    graph,
    preprocessing: { channels: 3, scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: Array.from({ length: 10 }, (_, i) => String(i)),
    probabilities: 'softmax',
    targetLayer,
  } as const;
  return loadNetwork(await device(), description, adaptTensors(architecture, graph, tensors));
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
