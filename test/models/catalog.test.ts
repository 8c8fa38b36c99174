// The networks known by name: their default target layers, their costs, where their weights come from; near names.

import test from 'tape';
import { architectures } from '../../models/architectures/index.ts';
import { squeezenet1_0 } from '../../models/architectures/squeezenet.ts';
import { catalog, catalogEntry, ModelError } from '../../models/catalog.ts';
import { describeImported } from '../../models/describe.ts';
import { dryRun } from '../../models/dry-run.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { type Graph, INPUT, parameterCount } from '../../models/graph.ts';
import { published } from '../../models/hub/published.ts';
import * as layers from '../../models/layers.ts';
import { nearest } from '../../models/near.ts';
import { checkPreprocessing } from '../../models/preprocess.ts';
import { defaultTargetLayer, targetLayers } from '../../models/target-layer.ts';

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

/** Learnt parameters, and 10^9 multiply-adds at 224 x 224, as torchvision's documentation lists them. */
const documented: readonly (readonly [name: string, parameters: number, gigas: number])[] = [
  ['alexnet', 61_100_840, 0.71],
  ['densenet121', 7_978_856, 2.83],
  ['efficientnet_b0', 5_288_548, 0.39],
  ['googlenet', 6_624_904, 1.5],
  ['mobilenet_v2', 3_504_872, 0.3],
  ['mobilenet_v3_large', 5_483_032, 0.22],
  ['mobilenet_v3_small', 2_542_856, 0.06],
  ['resnet18', 11_689_512, 1.81],
  ['resnet34', 21_797_672, 3.66],
  ['resnet50', 25_557_032, 4.09],
  ['shufflenet_v2_x0_5', 1_366_792, 0.04],
  ['shufflenet_v2_x1_0', 2_278_604, 0.14],
  ['squeezenet1_0', 1_248_424, 0.82],
  ['squeezenet1_1', 1_235_496, 0.35],
  ['vgg11_bn', 132_868_840, 7.61],
  ['vgg16', 138_357_544, 15.47],
  ['vgg19', 143_667_240, 19.63],
  ['vit_b_16', 86_567_656, 17.56],
];
for (const [name, parameters, gigas] of documented) {
  test(`${name} costs what torchvision says`, (t) => {
    const { graph } = catalogEntry(name);
    t.equal(sum(graph.nodes.map(parameterCount)), parameters);
    const counted = sum(dryRun(graph, [1, 3, 224, 224]).multiplyAdds.values()) / 1e9;
    t.ok(Math.abs(counted - gigas) < 0.01, `${counted}`);
    t.end();
  });
}

test('the default target layer of every architecture is the one its table names', (t) => {
  for (const [name, { graph, targetLayer, inputSize }] of Object.entries(architectures)) {
    const made = graph();
    t.equal(defaultTargetLayer(dryRun(made, [1, 3, ...inputSize])), targetLayer, name);
  }
  for (const name of ['digit-scenes', 'digit-dense', 'digit-vit', 'cifar10-gap', 'resnet20']) {
    const { graph, targetLayer, preprocessing } = catalogEntry(name);
    const dry = dryRun(graph, [1, preprocessing.channels, ...(preprocessing.size ?? [28, 28])]);
    t.equal(defaultTargetLayer(dry), targetLayer, name);
  }
  t.end();
});

test('a network without a feature map has no target layer', (t) => {
  const graph: Graph = {
    nodes: [layers.flatten('flat', INPUT), layers.linear('fc', 'flat', { in: 48, out: 2 })],
    output: 'fc',
  };
  t.equal(defaultTargetLayer(dryRun(graph, [1, 3, 4, 4])), undefined);
  t.end();
});

test('maps of one pixel, class maps and what was never spatial are no target layers', (t) => {
  const graph = squeezenet1_0(7);
  t.equal(defaultTargetLayer(dryRun(graph, [1, 3, 64, 48])), 'features.12', 'any number of classes');
  const small = targetLayers(dryRun(graph, [1, 3, 32, 32]));
  t.notOk(small.has('features.12'), 'one pixel is left at 32 x 32');
  t.ok(small.has('features.1'));
  const vit = catalogEntry('vit_tiny_patch16_224').graph;
  const names = [...targetLayers(dryRun(vit, [1, 3, 224, 224])).keys()];
  t.ok(names.includes('patch_embed.proj') && names.includes('blocks.3.attn.proj'));
  t.notOk(
    names.some((name) => /probabilities/.test(name)),
    'attention is no feature map',
  );
  t.end();
});

test('a network from a file is described, its gaps filled in', (t) => {
  const graph: Graph = {
    nodes: [
      layers.conv('conv', INPUT, { in: 3, out: 4, kernel: 3, padding: 1 }),
      layers.relu('relu', 'conv'),
      layers.globalAvgPool('gap', 'relu'),
      layers.linear('fc', 'gap', { in: 4, out: 2 }),
    ],
    output: 'fc',
  };
  const file: ImportedNetwork = {
    graph,
    tensors: new Map(),
    inputShape: [1, 3, 6, 8],
    anySize: false,
    otherInputs: new Map(),
    classCount: 2,
    probabilities: 'sigmoid',
  };
  const described = describeImported('net.onnx', file);
  t.equal(described.name, 'net.onnx');
  t.equal(described.targetLayer, 'relu');
  t.deepEqual(described.classes, ['0', '1']);
  t.equal(described.probabilities, 'sigmoid');
  t.deepEqual(described.preprocessing, { channels: 3, scale: 255, mean: [0], std: [1], size: [6, 8] });
  const said = { ...file, anySize: true, classes: ['no', 'yes'], preprocessing: { scale: 1, mean: [3] } };
  const more = describeImported('net.onnx', said);
  t.deepEqual(more.classes, ['no', 'yes']);
  t.deepEqual(more.preprocessing, { channels: 3, scale: 1, mean: [3], std: [1] });
  t.end();
});

test('the table of published weights', (t) => {
  const [names, urls] = [new Set<string>(), new Set<string>()];
  for (const [name, { weights, preprocessing, licence }] of published) {
    t.ok(architectures[name] ?? catalogEntry(name).text, `${name} is an architecture, or reads texts`);
    t.ok(weights.sha256 === undefined || /^[0-9a-f]{64}$/.test(weights.sha256), 'checksum');
    t.match(
      weights.url,
      /^https:\/\/huggingface\.co\/timm\/[\w.-]+\/resolve\/main\/(open_clip_)?model\.safetensors$/,
    );
    t.match(weights.name, /^[\w.-]+\.safetensors$/);
    t.doesNotThrow(() => checkPreprocessing(preprocessing));
    t.ok(licence.length > 0);
    // The size tells the network: four bytes a parameter, and little else.
    const expected = 4 * sum(catalogEntry(name).graph.nodes.map(parameterCount));
    t.ok(Math.abs(weights.bytes / expected - 1) < 0.02, `${weights.bytes} for ${expected}`);
    names.add(weights.name);
    urls.add(weights.url);
  }
  t.equal(names.size, published.size);
  t.equal(urls.size, published.size);
  t.end();
});

test('a name that is unknown brings up those that come near', (t) => {
  t.throws(() => catalogEntry('resnet81'), ModelError);
  t.throws(() => catalogEntry('resnet81'), /no model "resnet81"; did you mean resnet18/);
  t.throws(() => catalogEntry('resent50'), /did you mean resnet50/);
  t.throws(() => catalogEntry('VGG16'), /did you mean vgg16, /);
  t.throws(() => catalogEntry('efficientnet_v2_xl'), /did you mean efficientnet_b0\?/, 'by its beginning');
  t.throws(() => catalogEntry('timm.resnet50'), /did you mean resnet50\?/, 'by its end');
  t.throws(() => catalogEntry('squeeze'), /did you mean squeezenet1_0, squeezenet1_1\?/);
  t.throws(() => catalogEntry('llama'), /there are \d+ models: digit-scenes, /);
  t.throws(() => catalogEntry(''), /there are \d+ models/);
  t.equal(nearest('x', ['a', 'b'], 'letters'), 'the letters are a, b');
  t.end();
});

test('every entry of the catalog is whole', (t) => {
  for (const { name, graph, targetLayer, preprocessing, classes } of catalog.values()) {
    t.ok(
      graph.nodes.some((node) => node.name === targetLayer),
      name,
    );
    const { shapes } = dryRun(graph, [1, preprocessing.channels, ...(preprocessing.size ?? [32, 32])]);
    t.equal(shapes.get(graph.output)!.at(-1), classes.length, name);
    t.doesNotThrow(() => checkPreprocessing(preprocessing));
  }
  t.end();
});
