// Real networks from ONNX files: the reference answers, the maps of the same network from safetensors, and what must
// hold between the methods.

import test from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { disposeExplanation, explain, observe } from '../../cam/index.ts';
import { concat, mean, reshape, scope, softmax, type Tensor, tensor } from '../../engine/index.ts';
import { resnetCifar } from '../../models/architectures/resnet-cifar.ts';
import { squeezenet1_0 } from '../../models/architectures/squeezenet.ts';
import { readNpy } from '../../models/formats/npy.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { readSafetensors } from '../../models/formats/safetensors.ts';
import { evaluate, type Graph, INPUT } from '../../models/graph.ts';
import { loadNetwork, type Network } from '../../models/network.ts';
import { type Preprocessing, preprocess } from '../../models/preprocess.ts';
import { assetBytes, assetJson, hasAssets } from '../assets.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';

const colours = { channels: 3, scale: 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const imagenet = { ...colours, size: [224, 224] } as const;
const mobilenetPixels = {
  channels: 3,
  size: [224, 224],
  scale: 127.5,
  mean: [1, 1, 1],
  std: [1, 1, 1],
} as const;

const noParts = () => Promise.reject(new Error('no parts are expected'));

async function fromOnnx(name: string, preprocessing: Preprocessing, targetLayer: string): Promise<Network> {
  const file = `${name}.onnx`;
  const { graph, tensors, probabilities } = await readOnnx(assetBytes(`models/${file}`), file, noParts);
  return load(name, graph, tensors, preprocessing, targetLayer, probabilities);
}

async function load(
  name: string,
  graph: Graph,
  tensors: Parameters<typeof loadNetwork>[2],
  preprocessing: Preprocessing,
  targetLayer: string,
  probabilities: Network['probabilities'] = 'softmax',
): Promise<Network> {
  const labels = name.includes('cifar') ? 'cifar10' : 'imagenet1000';
  const classes = assetJson<string[]>(`models/${labels}.labels.json`);
  const description = { name, summary: '', graph, preprocessing, classes, probabilities, targetLayer };
  return loadNetwork(await device(), description, tensors);
}

const photo = (network: Network, name: string) =>
  preprocess(network, decodePng(assetBytes(`images/${name}.png`)));

const logitsOf = ({ graph, parameters }: Network, x: Tensor) =>
  scope(() => evaluate(graph, parameters, new Map([[INPUT, x]]), [graph.output]).get(graph.output)!);

type Top5 = readonly (readonly [index: number, name: string, probability: number])[];
interface Expected {
  images: Record<string, Record<string, { top5_softmax: Top5; top1_logit?: number }>>;
}

async function checkPhotos(
  t: test.Test,
  network: Network,
  key: 'squeezenet1_0' | 'mobilenet_v1_0.25_224_keras',
): Promise<void> {
  const { images } = assetJson<Expected>('expected_imagenet.json');
  for (const [name, answers] of Object.entries(images)) {
    const expected = answers[key]!;
    const logits = logitsOf(network, photo(network, name));
    const p = await scope(() => softmax(logits, 1)).data();
    const order = [...p.keys()].sort((a, b) => p[b]! - p[a]!).slice(0, 5);
    // Stored to four digits; classes whose stored probabilities tie may stand in either order.
    const same = expected.top5_softmax.every(([, , value], i) => Math.abs(p[order[i]!]! - value) < 2e-4);
    t.ok(same && order[0] === expected.top5_softmax[0]![0], `${name}: top 5`);
    if (expected.top1_logit === undefined) continue;
    t.ok(Math.abs((await logits.data())[order[0]!]! - expected.top1_logit) < 1e-3, `${name}: logit`);
  }
}

/** Two pictures at once give what each gives alone. */
async function checkBatch(t: test.Test, network: Network, names: readonly [string, string]): Promise<void> {
  const [a, b] = [photo(network, names[0]), photo(network, names[1])];
  const both = await logitsOf(network, concat([a, b], 0)).data();
  const alone = [...(await logitsOf(network, a).data()), ...(await logitsOf(network, b).data())];
  t.ok(relativeError(both, alone) < 1e-5, 'a batch of two');
}

test('SqueezeNet 1.0 from ONNX: answers, a batch, and the maps of the safetensors network', async (t) => {
  if (!hasAssets(t)) return;
  const network = await fromOnnx('squeezenet1_0', imagenet, '/features/features.12/Concat');
  await checkPhotos(t, network, 'squeezenet1_0');
  await checkBatch(t, network, ['owl', 'labrador']);
  const { tensors } = readSafetensors(assetBytes('models/squeezenet1_0.safetensors'), 'squeezenet');
  const other = await load('squeezenet1_0', squeezenet1_0(), tensors, imagenet, 'features.12');
  const all = assetJson<Record<string, { cam_13x13_relu_conv10: number[][] }>>(
    'expected_squeezenet_cam.json',
  );
  for (const [key, expected] of Object.entries(all).slice(0, 3)) {
    const [name, index] = key.split('|') as [string, string];
    const options = { methods: ['cam', 'grad-cam'], classes: [Number(index)] };
    const found = await explain(network, photo(network, name), options);
    const wanted = await explain(other, photo(other, name), options);
    for (const [i, one] of found.entries()) {
      const error = relativeError(await one.map.data(), await wanted[i]!.map.data());
      t.ok(error < 1e-5, `${key}: ${one.method} as from safetensors, ${error.toExponential(1)}`);
    }
    const error = relativeError(await found[0]!.map.data(), expected.cam_13x13_relu_conv10.flat());
    t.ok(error < 1e-3, `${key}: CAM as the reference, ${error.toExponential(1)}`);
    for (const one of [...found, ...wanted]) disposeExplanation(one);
  }
});

test('MobileNetV1 from ONNX: answers, a batch, and the theorems of its head', async (t) => {
  if (!hasAssets(t)) return;
  const layer = 'features.13.pw_r';
  const network = await fromOnnx('mobilenet_v1_0.25_224_keras', mobilenetPixels, layer);
  await checkPhotos(t, network, 'mobilenet_v1_0.25_224_keras');
  await checkBatch(t, network, ['owl', 'labrador']);
  const bias = await network.parameters.get('classifier.bias')!.data();
  for (const name of ['owl', 'elephants']) {
    const x = photo(network, name);
    const found = await explain(network, x, { methods: ['cam', 'grad-cam', 'ablation-cam'], signed: true });
    const [cam, gradCam, ablation] = found as [(typeof found)[0], (typeof found)[0], (typeof found)[0]];
    const z = cam.map.size;
    const w = await cam.weights!.data();
    const g = await gradCam.weights!.data();
    const scaled = relativeError(
      g.map((v) => v * z),
      w,
    );
    t.ok(scaled < 1e-5, `${name}: Z times Grad-CAM's weights are CAM's, ${scaled.toExponential(1)}`);
    const map = await cam.map.data();
    const logit = map.reduce((a, b) => a + b, 0) / z + bias[cam.classIndex]!;
    t.ok(Math.abs(logit - cam.logit) < 1e-4, `${name}: mean of CAM and bias is the logit`);
    const trace = observe(network, x);
    const averages = await scope(() => reshape(mean(trace.at().featureMap, [2, 3]), [-1])).data();
    trace.dispose();
    const a = await ablation.weights!.data();
    // A difference of two logits, divided by one: some f32 roundings of 1.
    const worst = Math.max(...a.map((v, k) => Math.abs(v - (w[k]! * averages[k]!) / Math.abs(cam.logit))));
    t.ok(worst < 1e-5, `${name}: Ablation-CAM's weights are w mean(A) / |S|, ${worst.toExponential(1)}`);
    for (const one of found) disposeExplanation(one);
  }
});

function cifarPictures(): { values: Float32Array; count: number } {
  const images = readNpy(assetBytes('cifar10_test100_u8_nhwc.npy'), 'cifar');
  const [count, height, width] = images.shape as [number, number, number, number];
  const values = new Float32Array(images.data.length);
  for (let n = 0; n < count; n++) {
    for (let p = 0; p < height * width; p++) {
      for (let c = 0; c < 3; c++) {
        const value = images.data[(n * height * width + p) * 3 + c]! / 255;
        values[(n * 3 + c) * height * width + p] = (value - colours.mean[c]!) / colours.std[c]!;
      }
    }
  }
  return { values, count };
}

test('ResNet-20 from ONNX, clean and as exported: the logits of 100 pictures at once, and the maps', async (t) => {
  if (!hasAssets(t)) return;
  const gpu = await device();
  const expected = assetJson<{ resnet20_logits: number[][] }>('expected_cifar10_test100.json');
  const { values, count } = cifarPictures();
  const all = tensor(gpu, values, [count, 3, 32, 32]);
  const one = tensor(gpu, values.subarray(0, 3 * 32 * 32), [1, 3, 32, 32]);
  const { tensors } = readSafetensors(assetBytes('models/resnet20_cifar10.safetensors'), 'resnet20');
  const reference = await load('resnet20_cifar10', resnetCifar(3), tensors, colours, 'layer3.2');
  const wanted = await explain(reference, one, { methods: ['cam', 'grad-cam'] });
  for (const name of ['resnet20_cifar10', 'resnet20_cifar10.raw-export']) {
    const network = await fromOnnx(name, colours, '/layer3/layer3.2/Relu_1');
    const logits = await logitsOf(network, all).data();
    const error = relativeError(logits, expected.resnet20_logits.flat());
    t.ok(error < 1e-4, `${name}: logits, ${error.toExponential(1)}`);
    const found = await explain(network, one, { methods: ['cam', 'grad-cam'] });
    for (const [i, explanation] of found.entries()) {
      const difference = relativeError(await explanation.map.data(), await wanted[i]!.map.data());
      t.ok(
        difference < 1e-5,
        `${name}: ${explanation.method} as from safetensors, ${difference.toExponential(1)}`,
      );
    }
    for (const explanation of found) disposeExplanation(explanation);
  }
  for (const explanation of wanted) disposeExplanation(explanation);
});
