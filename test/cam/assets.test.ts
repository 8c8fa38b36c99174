// Real networks against the reference answers.

import test from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { disposeExplanation, type Explanation, explain, observe, targets } from '../../cam/index.ts';
import { argmax, scope, softmax, type Tensor, tensor } from '../../engine/index.ts';
import { resnetCifar } from '../../models/architectures/resnet-cifar.ts';
import { squeezenet1_0 } from '../../models/architectures/squeezenet.ts';
import { readNpy } from '../../models/formats/npy.ts';
import { readSafetensors } from '../../models/formats/safetensors.ts';
import { evaluate, type Graph, INPUT } from '../../models/graph.ts';
import { conv, globalAvgPool, linear, maxPool, relu } from '../../models/layers.ts';
import { loadNetwork, type Network } from '../../models/network.ts';
import { preprocess } from '../../models/preprocess.ts';
import { assetBytes, assetFloats, assetJson, hasAssets } from '../assets.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';

const imagenet = { scale: 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

async function squeezenet(file: string): Promise<Network> {
  const classes = assetJson<string[]>('models/imagenet1000.labels.json');
  const description = {
    name: 'squeezenet1_0',
    summary: '',
    graph: squeezenet1_0(),
    preprocessing: { channels: 3, size: [224, 224], ...imagenet },
    classes,
    probabilities: 'softmax',
    targetLayer: 'features.12',
  } as const;
  return loadNetwork(
    await device(),
    description,
    readSafetensors(assetBytes(`models/${file}`), file).tensors,
  );
}

interface Expected {
  images: Record<string, { squeezenet1_0: { top5_softmax: [number, string, number][]; top1_logit: number } }>;
}

const photo = (network: Network, name: string) =>
  preprocess(network, decodePng(assetBytes(`images/${name}.png`)));

const logitsOf = (network: Network, x: Tensor) =>
  scope(
    () =>
      evaluate(network.graph, network.parameters, new Map([[INPUT, x]]), [network.graph.output]).get(
        network.graph.output,
      )!,
  );

test('SqueezeNet 1.0: top-5 of every photo, and the same top-1 in f16', async (t) => {
  if (!hasAssets(t)) return;
  const [full, half] = [
    await squeezenet('squeezenet1_0.safetensors'),
    await squeezenet('squeezenet1_0.fp16.safetensors'),
  ];
  const { images } = assetJson<Expected>('expected_imagenet.json');
  for (const [name, { squeezenet1_0: expected }] of Object.entries(images)) {
    const logits = logitsOf(full, photo(full, name));
    const p = await scope(() => softmax(logits, 1)).data();
    const order = [...p.keys()].sort((a, b) => p[b]! - p[a]!).slice(0, 5);
    // Stored to four digits; classes whose stored probabilities tie may stand in either order.
    const same = expected.top5_softmax.every(([, , value], i) => Math.abs(p[order[i]!]! - value) < 2e-4);
    t.ok(same && order[0] === expected.top5_softmax[0]![0], `${name}: top 5`);
    t.ok(Math.abs((await logits.data())[order[0]!]! - expected.top1_logit) < 1e-3, `${name}: logit`);
    const best = await scope(() => argmax(logitsOf(half, photo(half, name)), 1)).indices();
    t.equal(best[0], order[0], `${name}: f16 top 1`);
  }
});

interface SqueezenetCam {
  logit: number;
  cam_13x13_relu_conv10: number[][];
  gradcam_13x13_features12_relu: number[][];
}

test('SqueezeNet 1.0: CAM and Grad-CAM maps', async (t) => {
  if (!hasAssets(t)) return;
  const network = await squeezenet('squeezenet1_0.safetensors');
  const all = assetJson<Record<string, SqueezenetCam>>('expected_squeezenet_cam.json');
  for (const [key, expected] of Object.entries(all)) {
    const [name, index] = key.split('|') as [string, string];
    const found = await explain(network, photo(network, name), {
      methods: ['cam', 'grad-cam'],
      classes: [Number(index)],
    });
    const maps = [expected.cam_13x13_relu_conv10, expected.gradcam_13x13_features12_relu];
    for (const [i, e] of found.entries()) {
      const error = relativeError(await e.map.data(), maps[i]!.flat());
      t.ok(error < 1e-3, `${key} ${e.method}: ${error.toExponential(1)}`);
      disposeExplanation(e);
    }
  }
});

const small64: Graph = {
  nodes: [
    conv('0.0', 'input', { in: 3, out: 32, kernel: 3, padding: 1 }),
    relu('0.1', '0.0'),
    maxPool('0.2', '0.1', { kernel: 2, stride: 2 }),
    conv('0.3', '0.2', { in: 32, out: 64, kernel: 3, padding: 1 }),
    relu('0.4', '0.3'),
    maxPool('0.5', '0.4', { kernel: 2, stride: 2 }),
    conv('0.6', '0.5', { in: 64, out: 64, kernel: 3, padding: 1 }),
    relu('0.7', '0.6'),
    maxPool('0.8', '0.7', { kernel: 2, stride: 2 }),
    conv('0.9', '0.8', { in: 64, out: 128, kernel: 3, padding: 1 }),
    relu('0.10', '0.9'),
    globalAvgPool('1', '0.10'),
    linear('3', '1', { in: 128, out: 10 }),
  ],
  output: '3',
};

interface Manifest {
  class: number;
  tensors: Record<string, { shape: number[]; file: string }>;
}

test('the small64 reference: logits, A, dS/dA and every formula', async (t) => {
  if (!hasAssets(t)) return;
  const gpu = await device();
  const manifest = assetJson<Manifest>('reference/small64/manifest.json');
  const read = (name: string) => assetFloats(`reference/small64/${manifest.tensors[name]!.file}`);
  const parameters = Object.entries(manifest.tensors).filter(([name]) => name.startsWith('param/'));
  const network = loadNetwork(
    gpu,
    {
      name: 'small64',
      summary: '',
      graph: small64,
      preprocessing: { channels: 3, ...imagenet },
      classes: Array.from({ length: 10 }, (_, i) => String(i)),
      probabilities: 'softmax',
      targetLayer: '0.10',
    },
    new Map(
      parameters.map(([name, { shape }]) => [name.slice('param/'.length), { shape, data: read(name) }]),
    ),
  );
  const close = (found: Float32Array, name: string, tolerance = 1e-4) => {
    const error = relativeError(found, read(name));
    t.ok(error < tolerance, `${name}: ${error.toExponential(1)}`);
  };
  const x = tensor(gpu, read('input'), [1, 3, 64, 64]);
  const trace = observe(network, x);
  const { featureMap, gradient } = trace.at();
  close(await trace.outputs.logits.data(), 'logits');
  close(await featureMap.data(), 'A');
  const g = await gradient(targets.logit(manifest.class)).data();
  close(g, 'dS_dA');
  const found = await explain(network, x, {
    methods: ['grad-cam', 'grad-cam++', 'grad-cam++-true', 'cam'],
    classes: [manifest.class],
  });
  const [gradCam, closed, exact, cam] = found as [Explanation, Explanation, Explanation, Explanation];
  close(await gradCam.weights!.data(), 'exact/gradcam/weights');
  close(await gradCam.map.data(), 'exact/gradcam/raw_map');
  for (const e of [closed, exact]) {
    close(await e.weights!.data(), 'exact/gradcam++/weights');
    close(await e.map.data(), 'exact/gradcam++/raw_map');
    // Of elements without a positive gradient alpha is not used.
    const alpha = await e.terms.find(({ symbol }) => symbol === 'alpha_k')!.tensor.data();
    const expected = read('exact/alpha').map((value, i) => (g[i]! > 0 ? value : 0));
    t.ok(relativeError(alpha, expected) < 1e-4, `${e.method}: alpha`);
  }
  // HiResCAM, sum_k g A, is CAM / Z behind GAP (Draelos 2020).
  close(
    (await cam.map.data()).map((v) => v / 64),
    'exact/hirescam/raw_map',
  );
  for (const e of found) disposeExplanation(e);
  trace.dispose();
});

test('ResNet-20: logits of 100 CIFAR images, and its accuracy', async (t) => {
  if (!hasAssets(t)) return;
  const gpu = await device();
  const expected = assetJson<{ labels: number[]; resnet20_logits: number[][] }>(
    'expected_cifar10_test100.json',
  );
  const images = readNpy(assetBytes('cifar10_test100_u8_nhwc.npy'), 'cifar');
  const tensors = readSafetensors(assetBytes('models/resnet20_cifar10.safetensors'), 'resnet20').tensors;
  const network = loadNetwork(
    gpu,
    {
      name: 'resnet20',
      summary: '',
      graph: resnetCifar(3),
      preprocessing: { channels: 3, ...imagenet },
      classes: assetJson<string[]>('models/cifar10.labels.json'),
      probabilities: 'softmax',
      targetLayer: 'layer3.2',
    },
    tensors,
  );
  const [count, height, width] = images.shape as [number, number, number, number];
  const x = new Float32Array(images.data.length);
  for (let n = 0; n < count; n++) {
    for (let p = 0; p < height * width; p++) {
      for (let c = 0; c < 3; c++) {
        const value = images.data[(n * height * width + p) * 3 + c]! / 255;
        x[(n * 3 + c) * height * width + p] = (value - imagenet.mean[c]!) / imagenet.std[c]!;
      }
    }
  }
  const logits = await logitsOf(network, tensor(gpu, x, [count, 3, height, width])).data();
  const wanted = expected.resnet20_logits.flat();
  const error = relativeError(logits, wanted);
  t.ok(error < 1e-4, `logits: ${error.toExponential(1)}`);
  const right = (rows: ArrayLike<number>) =>
    expected.labels.filter((label, n) => {
      const row = Array.from(rows).slice(10 * n, 10 * n + 10);
      return row.indexOf(Math.max(...row)) === label;
    }).length;
  t.equal(right(logits), right(wanted), 'accuracy');
  t.ok(right(logits) >= 88, `${right(logits)} of 100`);
});
