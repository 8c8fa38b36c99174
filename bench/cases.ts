// The tables of what is measured. A row here is all it takes to measure something more.

import type { Problem } from './problems.ts';

export interface Case {
  readonly name: string;
  readonly problem: Problem;
  /** Times as fast as the best of `against` that Limelight is held to. */
  readonly bar?: number;
  /** Peers that the bar is about; every WebGPU peer when left out. */
  readonly against?: readonly string[];
  /** Cases of one heat take turns, round by round; alone when left out. */
  readonly heat?: string;
  /** Measured from the start of a fresh process of the command line in each round. */
  readonly cold?: boolean;
}

const square = (n: number): Problem => ({ op: 'matmul', m: n, n, k: n });

type Shape = readonly [number, number, number, number];

const conv = (
  [batch, inChannels, ...size]: Shape,
  outChannels: number,
  kernel: 1 | 3 | 5,
  groups = 1,
): Problem => ({
  op: 'conv2d',
  batch,
  inChannels,
  outChannels,
  size,
  kernel,
  groups,
});

export const kernelCases: readonly Case[] = [
  { name: 'matmul 512', problem: square(512), bar: 3 },
  { name: 'matmul 1024', problem: square(1024), bar: 3 },
  { name: 'conv 3x3 [1,64,56,56] to 64', problem: conv([1, 64, 56, 56], 64, 3), bar: 5 },
  { name: 'conv 3x3 [1,128,28,28] to 128', problem: conv([1, 128, 28, 28], 128, 3), bar: 5 },
  { name: 'conv 3x3 [32,64,16,16] to 64', problem: conv([32, 64, 16, 16], 64, 3), bar: 5 },
  { name: 'conv 3x3 [1,512,7,7] to 512', problem: conv([1, 512, 7, 7], 512, 3), bar: 5 },
  { name: 'conv 1x1 [1,256,28,28] to 64', problem: conv([1, 256, 28, 28], 64, 1), bar: 3 },
  { name: 'depthwise 3x3 [1,144,28,28]', problem: conv([1, 144, 28, 28], 144, 3, 144), bar: 1.8 },
  { name: 'GAP [1,512,7,7]', problem: { op: 'globalAvgPool', shape: [1, 512, 7, 7] }, bar: 3 },
  { name: 'softmax [32,1000]', problem: { op: 'softmax', shape: [32, 1000] }, bar: 1.4 },
  { name: 'relu 1M', problem: { op: 'relu', shape: [1 << 20] }, bar: 1.4 },
];

/** Layers of published networks. */
export const layerCases: readonly Case[] = [
  { name: 'SqueezeNet fire9, 3x3 [1,64,13,13] to 256', problem: conv([1, 64, 13, 13], 256, 3) },
  { name: 'MobileNetV2 expansion, 1x1 [1,24,56,56] to 144', problem: conv([1, 24, 56, 56], 144, 1) },
  { name: 'EfficientNet-B0, depthwise 5x5 [1,240,28,28]', problem: conv([1, 240, 28, 28], 240, 5, 240) },
  { name: 'ResNet-50 layer3, 1x1 [1,1024,14,14] to 256', problem: conv([1, 1024, 14, 14], 256, 1) },
  { name: 'ResNet-50 head, [1,2048] by [2048,1000]', problem: { op: 'matmul', m: 1, n: 1000, k: 2048 } },
  { name: 'ViT-Ti MLP, [197,192] by [192,768]', problem: { op: 'matmul', m: 197, n: 768, k: 192 } },
  { name: 'ViT-Ti attention, softmax [591,197]', problem: { op: 'softmax', shape: [591, 197] } },
];

/** Three shapes on which Limelight is to be faster than the processor's own WebAssembly, twice. */
export const againstWasm = kernelCases.slice(2, 5).map(({ name }) => name);

const networks = [
  ['SqueezeNet 1.0', 'squeezenet1_0'],
  ['MobileNetV1 0.25', 'mobilenet_v1_0.25'],
  ['ResNet-20', 'resnet20'],
] as const;

export const networkCases: readonly Case[] = [
  ...networks.flatMap(([title, network]) =>
    [1, 16].map(
      (batch): Case => ({
        name: `${title}, batch ${batch}`,
        problem: { op: 'forward', network, batch },
        bar: batch === 1 ? 5 : 6,
        against: ['ort-webgpu'],
      }),
    ),
  ),
  ...networks.map(
    ([title, network]): Case => ({
      name: `${title}, forward + gradient`,
      problem: { op: 'gradient', network },
      bar: 3,
    }),
  ),
];

/** The first explanation from a cold process, by the command line; the second one follows it. */
export const coldCase: Case = {
  name: 'first explanation, SqueezeNet 1.0',
  problem: { op: 'explain', network: 'squeezenet1_0', methods: ['grad-cam'], classes: 0 },
  cold: true,
};

/** A network that is explained: channels N of its target layer, and the methods that apply to it. */
export interface Explained {
  readonly network: string;
  readonly title: string;
  readonly channels: number;
  readonly methods: readonly string[];
  /** Whether its tail is global average pooling and a linear layer. */
  readonly linearTail: boolean;
}

const five = ['cam', 'grad-cam', 'grad-cam++', 'ablation-cam', 'score-cam'];

export const explained: readonly Explained[] = [
  { network: 'squeezenet1_0', title: 'SqueezeNet 1.0', channels: 512, methods: five, linearTail: false },
  {
    network: 'mobilenet_v1_0.25',
    title: 'MobileNetV1 0.25',
    channels: 256,
    methods: five,
    linearTail: true,
  },
  {
    network: 'digit-scenes',
    title: 'digit-scenes',
    channels: 48,
    methods: [...five, 'grad-cam++-true'],
    linearTail: true,
  },
  { network: 'digit-dense', title: 'digit-dense', channels: 32, methods: five.slice(1), linearTail: false },
];

/** Names of the cases of one explained network, which the bars on methods refer to. */
export const camCaseNames = ({ title, channels }: Explained) => ({
  forward: `${title}, forward`,
  masked: `${title}, forward of ${Math.min(channels, MASKED_BATCH)} masked inputs`,
  method: (name: string) => `${title}, ${name}`,
  shared: `${title}, five methods of two classes`,
});

/** Masked inputs of Score-CAM that are timed as one batch: what SqueezeNet's first layer may hold where buffers are small. */
const MASKED_BATCH = 16;

/** Batches of masked inputs that one Score-CAM takes. */
export const maskedBatches = ({ channels }: Explained): number => channels / Math.min(channels, MASKED_BATCH);

const camCases: readonly Case[] = explained.flatMap((e): Case[] => {
  const { network, channels, methods } = e;
  const names = camCaseNames(e);
  const explain = (name: string, methods: readonly string[], classes: number): Case => ({
    name,
    problem: { op: 'explain', network, methods, classes },
  });
  const quick = [
    { name: names.forward, problem: { op: 'forward', network, batch: 1 } as const },
    ...methods.filter((name) => name !== 'score-cam').map((name) => explain(names.method(name), [name], 0)),
  ];
  const masked = { op: 'forward', network, batch: Math.min(channels, MASKED_BATCH) } as const;
  const slow = [
    { name: names.masked, problem: masked },
    explain(names.method('score-cam'), ['score-cam'], 0),
    ...(methods.includes('cam') ? [explain(names.shared, five, 2)] : []),
  ];
  const heat = (name: string, cases: readonly Case[]) => cases.map((c) => ({ ...c, heat: name }));
  return [...heat(e.title, quick), ...heat(`${e.title}, masks`, slow)];
});

/** What each command measures. */
export const suites: Readonly<Record<string, readonly Case[]>> = {
  kernels: [...kernelCases, ...layerCases],
  cam: camCases,
  peers: [...kernelCases, ...networkCases, coldCase],
};
