// Which network a state dict belongs to, told by its keys and shapes.

import test from 'tape';
import { catalog, catalogEntry } from '../../models/catalog.ts';
import { shapesOf } from '../../models/dry-run.ts';
import type { HostTensor, StateDict } from '../../models/formats/host-tensor.ts';
import { checkPreprocessing } from '../../models/preprocess.ts';
import { fitted, recognise } from '../../models/recognise.ts';

const data = new Float32Array();

/** Keys and shapes of a network of the catalog; the numbers do not matter. */
function keysOf(name: string, classes?: number, rename = (key: string) => key): Map<string, HostTensor> {
  const entry = catalogEntry(name);
  const graph = classes === undefined ? entry.graph : entry.architecture!.graph(classes);
  return new Map(
    graph.nodes.flatMap((node) =>
      Object.values(node.parameters).map(({ key, shape }) => [rename(key), { shape, data }] as const),
    ),
  );
}
const found = (tensors: StateDict) => recognise(catalog.values(), tensors);
const namesOf = (tensors: StateDict) => [found(tensors)?.entry.name].filter((name) => name !== undefined);

test('a network is recognised by its keys and shapes', (t) => {
  for (const name of [
    'resnet18',
    'vgg16_bn',
    'squeezenet1_1',
    'vit_tiny_patch16_224',
    'vit_base_patch16_224',
  ]) {
    t.deepEqual(namesOf(keysOf(name)), [name], name);
  }
  for (const name of ['digit-scenes', 'resnet20', 'nin_cifar10', 'shufflenet_v2_x0_5', 'densenet121']) {
    t.deepEqual(namesOf(keysOf(name)), [name], name);
  }
  t.end();
});

test('one publisher counts before another whose keys may differ', (t) => {
  t.deepEqual(namesOf(keysOf('mobilenet_v3_small')), ['mobilenet_v3_small'], "not timm's of the same keys");
  t.deepEqual(namesOf(keysOf('mobilenet_v2')), ['mobilenet_v2'], 'nor is timm counted here');
  const timm = catalogEntry('mobilenetv2_100');
  const their = new Map([...timm.architecture!.otherKeys!(timm.graph)].map(([one, key]) => [key, one]));
  const theirs = keysOf('mobilenet_v2', undefined, (key) => their.get(key)!);
  t.deepEqual(namesOf(theirs), ['mobilenetv2_100'], "timm's keys");
  t.end();
});

test("keys of another publisher become the network's own", (t) => {
  const entry = catalogEntry('efficientnet_b0');
  const own = new Map([...entry.architecture!.otherKeys!(entry.graph)].map(([their, key]) => [key, their]));
  const theirs = keysOf('efficientnet_b0', undefined, (key) => own.get(key) ?? key);
  t.ok(theirs.has('conv_stem.weight') && theirs.has('blocks.6.0.bn3.bias'), "timm's keys");
  const fit = found(theirs);
  t.equal(fit?.entry.name, 'efficientnet_b0');
  t.deepEqual([...fit!.tensors.keys()].sort(), [...keysOf('efficientnet_b0').keys()].sort());
  t.end();
});

test('counters are overlooked, other classes are counted', (t) => {
  for (const name of ['resnet18', 'squeezenet1_0', 'vgg11', 'vit_tiny_patch16_224']) {
    const tensors = keysOf(name, 7);
    tensors.set('bn1.num_batches_tracked', { shape: [], data });
    const fit = found(tensors);
    t.equal(fit?.entry.name, name);
    t.deepEqual(fit?.entry.classes, ['0', '1', '2', '3', '4', '5', '6']);
    t.equal(fit?.entry.labels, undefined, "ImageNet's names are not those of these classes");
  }
  t.equal(fitted(catalogEntry('resnet18'), keysOf('resnet18')).entry, catalogEntry('resnet18'));
  t.end();
});

test('a head of another name is the last layer', (t) => {
  for (const [name, own, theirs] of [
    ['resnet18', 'fc', 'fc.1'],
    ['resnet50', 'fc', 'head.fc'],
    ['mobilenet_v3_small', 'classifier.3', 'classifier.4'],
    ['vit_tiny_patch16_224', 'head', 'classifier'],
    ['resnet20', 'linear', 'fc'],
  ] as const) {
    const tensors = keysOf(name, 7, (key) => key.replace(new RegExp(`^${own}\\.(?=\\w+$)`), `${theirs}.`));
    t.ok(tensors.has(`${theirs}.weight`));
    const fit = found(tensors);
    t.deepEqual([fit?.entry.name, fit?.entry.classes.length], [name, 7], `${name}: ${theirs}`);
    t.ok(fit?.tensors.has(`${own}.weight`));
  }
  const two = keysOf('resnet18', 7, (key) => key.replace(/^fc\./, 'fc.3.'));
  two.set('fc.0.weight', { shape: [512, 512], data });
  t.deepEqual(namesOf(two), [], 'two layers are no head');
  const narrow = keysOf('resnet18', 7, (key) => key.replace(/^fc\./, 'fc.1.'));
  narrow.set('fc.1.weight', { shape: [7, 256], data });
  t.deepEqual(namesOf(narrow), [], 'nor is one of other inputs');
  t.end();
});

test('other channels of input are counted', (t) => {
  for (const [name, first] of [
    ['resnet18', 'conv1.weight'],
    ['vit_tiny_patch16_224', 'patch_embed.proj.weight'],
    ['densenet121', 'features.conv0.weight'],
  ] as const) {
    for (const channels of [1, 2, 4, 12]) {
      const tensors = keysOf(name);
      const [out, , ...kernel] = tensors.get(first)!.shape;
      tensors.set(first, { shape: [out!, channels, ...kernel], data });
      const fit = found(tensors);
      t.deepEqual([fit?.entry.name], [name], `${name}: ${channels}`);
      const { preprocessing, graph, labels } = fit!.entry;
      t.equal(preprocessing.channels, channels);
      t.deepEqual(preprocessing.mean.length, 1);
      t.equal(labels, catalogEntry(name).labels, 'the classes stay');
      t.ok(shapesOf(graph, [1, channels, ...catalogEntry(name).architecture!.inputSize]).size > 0);
      t.doesNotThrow(() => checkPreprocessing(preprocessing));
    }
  }
  const { mean, std } = fitted(catalogEntry('resnet18'), greyResnet()).entry.preprocessing;
  t.deepEqual([mean[0]!.toFixed(4), std[0]!.toFixed(4)], ['0.4490', '0.2260'], 'the averages of the colours');
  t.end();
});

function greyResnet(): StateDict {
  return keysOf('resnet18').set('conv1.weight', { shape: [64, 1, 7, 7], data });
}

test('prefixes of wrappers are taken off where every key has them', (t) => {
  for (const prefix of ['module.', 'state_dict.model.', 'backbone.', '_orig_mod.module.']) {
    const tensors = keysOf('resnet18', 7, (key) => prefix + key);
    tensors.set(`${prefix}bn1.num_batches_tracked`, { shape: [], data });
    const fit = found(tensors);
    t.deepEqual([fit?.entry.name, fit?.entry.classes.length], ['resnet18', 7], prefix);
    t.ok(fit?.tensors.has('layer1.0.conv1.weight'), "the network's own keys");
  }
  const own = catalogEntry('efficientnet_b0');
  const their = new Map([...own.architecture!.otherKeys!(own.graph)].map(([one, key]) => [key, one]));
  const both = keysOf('efficientnet_b0', undefined, (key) => `module.${their.get(key) ?? key}`);
  t.deepEqual(namesOf(both), ['efficientnet_b0'], 'in front of the keys of another publisher');
  const some = keysOf('resnet18', undefined, (key) => (key.startsWith('fc.') ? key : `module.${key}`));
  t.deepEqual(namesOf(some), [], 'not of some keys alone');
  t.end();
});

test('what is missing, too much or of another shape is not recognised', (t) => {
  const missing = keysOf('resnet18');
  missing.delete('layer2.0.conv1.weight');
  const extra = keysOf('resnet18').set('layer5.weight', { shape: [1], data });
  const other = keysOf('resnet18').set('bn1.weight', { shape: [65], data });
  for (const tensors of [missing, extra, other, new Map()]) t.deepEqual(namesOf(tensors), []);
  const empty = keysOf('resnet18').set('fc.weight', { shape: [0, 512], data });
  t.deepEqual(namesOf(empty), [], 'no classes');
  t.end();
});
