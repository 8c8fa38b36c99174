// The real Keras networks in LIMELIGHT_ASSETS: reference answers, the same network from two formats, and the theorems on
// both of their heads.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import test from 'tape';
import { disposeExplanation, explain } from '../../cam/index.ts';
import { scope, type Tensor, tensor } from '../../engine/index.ts';
import { dryRun } from '../../models/dry-run.ts';
import type { ImportedNetwork } from '../../models/formats/imported.ts';
import { readKerasH5 } from '../../models/formats/keras/h5.ts';
import { readNpy } from '../../models/formats/npy.ts';
import { readTfjs } from '../../models/formats/tfjs/read.ts';
import { evaluate, INPUT, nodeOf } from '../../models/graph.ts';
import { disposeNetwork, loadNetwork, type Network } from '../../models/network.ts';
import { defaultTargetLayer } from '../../models/target-layer.ts';
import { device } from '../device.ts';
import { array, relativeError, softmax } from '../reference/index.ts';

const assets = process.env.LIMELIGHT_ASSETS;
const skip = assets === undefined && 'LIMELIGHT_ASSETS is not set';
const asset = (...path: string[]) => readFileSync(join(assets!, ...path));
const json = (name: string) => JSON.parse(asset(name).toString());

const tfjs = (name: string) =>
  readTfjs(asset('models', `${name}.tfjs`, 'model.json'), name, async (part) =>
    asset('models', `${name}.tfjs`, part),
  );
const h5 = (name: string) => readKerasH5(asset('models', `${name}.keras.h5`), name);

/** An imported network on the test device; its target layer is the one before the head. */
async function load(imported: ImportedNetwork): Promise<Network> {
  const { graph, tensors, probabilities } = imported;
  const description = {
    name: 'imported',
    summary: '',
    graph,
    preprocessing: { channels: 3, scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: Array.from({ length: 1000 }, (_, i) => String(i)),
    probabilities,
    targetLayer: defaultTargetLayer(dryRun(graph, imported.inputShape))!,
  } as const;
  return loadNetwork(await device(), description, tensors);
}

const logitsOf = (network: Network, x: Tensor): Promise<Float32Array> =>
  scope(() => evaluate(network.graph, network.parameters, new Map([[INPUT, x]]), [network.graph.output]))
    .get(network.graph.output)!
    .data();

const rows = (values: Float32Array, classes: number) =>
  Array.from({ length: values.length / classes }, (_, i) => values.subarray(i * classes, (i + 1) * classes));

const probabilitiesOf = (row: ArrayLike<number>) => softmax(array([row.length], row), 0).data;

/** [N, H, W, C] bytes as [N, C, H, W]. */
function planes(bytes: ArrayLike<number>, pixels: number): Float32Array {
  const values = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const image = Math.floor(i / (3 * pixels));
    const [pixel, channel] = [Math.floor(i / 3) % pixels, i % 3];
    values[(image * 3 + channel) * pixels + pixel] = bytes[i]!;
  }
  return values;
}

/** The hundred CIFAR-10 images, [100, 3, 32, 32]. */
const cifar = () => planes(readNpy(asset('cifar10_test100_u8_nhwc.npy'), 'cifar10').data, 32 * 32);

/** A photo as MobileNet wants it, [3, 224, 224] in -1..1. */
function photo(name: string): Float32Array {
  const { data } = PNG.sync.read(asset('images', `${name}.png`));
  const rgb = data.filter((_, i) => i % 4 !== 3);
  return planes(rgb, 224 * 224).map((value) => value / 127.5 - 1);
}

test('MobileNetV1 from TensorFlow.js gives the reference answers', { skip }, async (t) => {
  const imported = await tfjs('mobilenet_v1_0.25_224_keras');
  t.deepEqual(imported.inputShape, [1, 3, 224, 224], 'the input is channels first');
  t.notOk(imported.anySize, 'and of one size');
  t.equal(imported.probabilities, 'softmax');
  t.equal(imported.graph.output, 'conv_preds/linear', 'the softmax and the reshape behind it are left off');
  const network = await load(imported);
  type Answers = Record<string, { top5_softmax: [index: number, name: string, probability: number][] }>;
  const expected: Record<string, Answers> = json('expected_imagenet.json').images;
  const names = Object.keys(expected).filter((name) => 'mobilenet_v1_0.25_224_keras' in expected[name]!);
  t.ok(names.length >= 10, `${names.length} photos`);
  // In batches of two: images of a batch must not meet.
  for (let i = 0; i < names.length; i += 2) {
    const batch = names.slice(i, i + 2);
    const images = Float32Array.from(batch.flatMap((name) => [...photo(name)]));
    const x = tensor(await device(), images, [batch.length, 3, 224, 224]);
    const logits = rows(await logitsOf(network, x), 1000);
    x.dispose();
    for (const [k, name] of batch.entries()) {
      const found = probabilitiesOf(logits[k]!);
      const top = expected[name]!['mobilenet_v1_0.25_224_keras']!.top5_softmax;
      const worst = Math.max(...top.map(([index, , probability]) => Math.abs(found[index]! - probability)));
      t.ok(worst < 1e-4, `${name}: top 5 within ${worst.toExponential(1)}`);
      t.equal(found.indexOf(Math.max(...found)), top[0]![0], `${name}: ${top[0]![1]}`);
    }
  }
  disposeNetwork(network);
  t.end();
});

test('ResNet-8 from HDF5 and from TensorFlow.js gives the reference answers', { skip }, async (t) => {
  const x = tensor(await device(), cifar(), [100, 3, 32, 32]);
  const expected: number[][] = json('expected_cifar10_test100.json').resnet8_softmax;
  const all: Float32Array[] = [];
  for (const [format, imported] of [
    ['HDF5', await h5('resnet8_cifar10')],
    ['TensorFlow.js', await tfjs('resnet8_cifar10')],
  ] as const) {
    const network = await load(imported);
    const logits = await logitsOf(network, x);
    const worst = rows(logits, 10).map((row, i) => {
      const found = probabilitiesOf(row);
      return Math.max(...expected[i]!.map((p, k) => Math.abs(p - found[k]!)));
    });
    t.ok(Math.max(...worst) < 1e-4, `${format}: 100 images within ${Math.max(...worst).toExponential(1)}`);
    all.push(logits);
    disposeNetwork(network);
  }
  t.deepEqual(all[0], all[1], 'both formats give the same logits');
  x.dispose();
  t.end();
});

test('ResNet-8: both formats give the same Grad-CAM maps', { skip }, async (t) => {
  const networks = [await load(await h5('resnet8_cifar10')), await load(await tfjs('resnet8_cifar10'))];
  const x = tensor(await device(), cifar().subarray(0, 3 * 32 * 32), [1, 3, 32, 32]);
  for (const layer of ['activation_6', 'activation_4', 'add']) {
    const maps = await Promise.all(
      networks.map(async (network) => {
        const [found] = await explain(network, x, {
          methods: ['grad-cam'],
          classes: [8],
          layer,
          signed: true,
        });
        const map = await found!.map.data();
        disposeExplanation(found!);
        return map;
      }),
    );
    t.deepEqual(maps[0], maps[1], layer);
    t.ok(
      maps[0]!.some((value) => value !== 0),
      'and they are not zero',
    );
  }
  for (const network of networks) disposeNetwork(network);
  t.end();
});

for (const [name, read, size, input] of [
  ['MobileNetV1', () => tfjs('mobilenet_v1_0.25_224_keras'), 224, () => photo('labrador')],
  ['ResNet-8', () => h5('resnet8_cifar10'), 32, () => cifar().subarray(0, 3 * 32 * 32)],
] as const) {
  test(`${name}: the theorems hold on its head`, { skip }, async (t) => {
    const network = await load(await read());
    const x = tensor(await device(), input(), [1, 3, size, size]);
    const methods = ['cam', 'grad-cam', 'ablation-cam'];
    const found = await explain(network, x, { methods, classes: [3], signed: true });
    const [cam, gradCam, ablation] = found as [(typeof found)[0], (typeof found)[0], (typeof found)[0]];
    const map = await cam.map.data();
    const pixels = map.length;
    const scaled = (await gradCam.map.data()).map((value) => value * pixels);
    t.ok(relativeError(scaled, map) < 1e-5, 'Z times Grad-CAM is CAM');
    const { key } = nodeOf(network.graph, network.graph.output).parameters.bias!;
    const bias = (await network.parameters.get(key)!.data())[3]!;
    const mean = map.reduce((sum, value) => sum + value, 0) / pixels;
    t.ok(
      Math.abs(mean + bias - cam.logit) < 1e-4 * Math.abs(cam.logit) + 1e-4,
      'mean CAM plus bias is the logit',
    );
    // Ablation weights: w_k mean(A_k) / |S|.
    const featureMap = network.targetLayer;
    const a = scope(() =>
      evaluate(network.graph, network.parameters, new Map([[INPUT, x]]), [featureMap]),
    ).get(featureMap)!;
    const features = await a.data();
    const w = await cam.weights!.data();
    const expected = Array.from(w, (wk, k) => {
      const plane = features.subarray(k * pixels, (k + 1) * pixels);
      return (wk * plane.reduce((sum, value) => sum + value, 0)) / pixels / Math.abs(cam.logit);
    });
    const error = relativeError(await ablation.weights!.data(), expected);
    t.ok(error < 1e-3, `Ablation-CAM's weights are w_k mean(A_k) / |S| (${error.toExponential(1)})`);
    a.dispose();
    for (const explanation of found) disposeExplanation(explanation);
    disposeNetwork(network);
    t.end();
  });
}
