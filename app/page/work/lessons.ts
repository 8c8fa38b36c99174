// What lessons ask beyond explanations: a small network whose tail is bent as much as the lesson says.

import { disposeExplanation, explain } from '../../../cam/index.ts';
import { type Device, tensor } from '../../../engine/index.ts';
import { disposeNetwork, layers, loadNetwork } from '../../../models/index.ts';
import { normal, random } from '../../../models/train/data/random.ts';

const CLASSES = ['a', 'b', 'c'];
const SIDE = 6;
const CHANNELS = 8;

/** Two convolutions, the feature map between them, an activation and global average pooling. */
function graphOf(activation: 'relu' | 'gelu') {
  const bent = activation === 'relu' ? layers.relu('bent', 'mixed') : layers.gelu('bent', 'mixed');
  return {
    nodes: [
      layers.conv('first', 'input', { in: 1, out: CHANNELS, kernel: 3, padding: 1 }),
      layers.relu('features', 'first'),
      layers.conv('mixed', 'features', { in: CHANNELS, out: CHANNELS, kernel: 3, padding: 1 }),
      bent,
      layers.globalAvgPool('gap', 'bent'),
      layers.linear('classifier', 'gap', { in: CHANNELS, out: CLASSES.length }),
    ],
    output: 'classifier',
  };
}

/** Normal numbers, the same for one seed whatever the activation, in the shapes that a graph's parameters have. */
function randomWeights({ nodes }: ReturnType<typeof graphOf>, seed: number) {
  const next = random(seed);
  const parameters = nodes.flatMap((node) => Object.values(node.parameters));
  return new Map(
    parameters.map(({ key, shape }) => {
      const size = shape.reduce((product, n) => product * n, 1);
      const spread = Math.sqrt(2 / (size / shape[0]!));
      return [
        key,
        { shape, data: Float32Array.from({ length: size }, () => spread * normal(next)) },
      ] as const;
    }),
  );
}

export const lessonTasks = {
  /** Grad-CAM++'s weights [K] by its closed form and by true derivatives, on a network with this activation after A. */
  async tail(
    { activation, seed }: { readonly activation: 'relu' | 'gelu'; readonly seed: number },
    { device }: { readonly device: Device },
  ): Promise<{ readonly closed: Float32Array; readonly exact: Float32Array }> {
    const graph = graphOf(activation);
    const description = {
      name: `a ${activation} tail`,
      summary: 'random weights',
      graph,
      preprocessing: { channels: 1, scale: 1, mean: [0], std: [1] },
      classes: CLASSES,
      probabilities: 'none',
      targetLayer: 'features',
    } as const;
    const network = loadNetwork(device, description, randomWeights(graph, seed));
    const next = random(seed + 1);
    const picture = Float32Array.from({ length: SIDE ** 2 }, () => normal(next));
    const input = tensor(device, picture, [1, 1, SIDE, SIDE]);
    const found = await explain(network, input, { methods: ['grad-cam++', 'grad-cam++-true'], classes: [0] });
    const [closed, exact] = await Promise.all(found.map(({ weights }) => weights!.data()));
    for (const one of found) disposeExplanation(one);
    input.dispose();
    disposeNetwork(network);
    return { closed: closed!, exact: exact! };
  },
};
