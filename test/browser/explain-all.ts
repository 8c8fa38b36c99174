// The same work for Node and for the page: a shipped network on a device, a picture explained, everything read back.

import type * as Limelight from '../../index.ts';

/** What came of it, as JSON can carry it. */
export interface Answer {
  readonly adapter: string;
  readonly logits: readonly number[];
  readonly explanations: readonly {
    readonly method: string;
    readonly className: string;
    readonly logit: number;
    readonly probability: number | null;
    readonly map: readonly number[];
    readonly upsampled: readonly number[];
    readonly weights: readonly number[];
  }[];
}

/** Explains a picture's predicted class; the library is given, so that this file does not say where it comes from. */
export async function explainAll(
  limelight: typeof Limelight,
  device: Limelight.Device,
  name: string,
  weights: Uint8Array,
  pixels: Limelight.Pixels,
  methods: readonly string[],
): Promise<Answer> {
  const entry = limelight.catalogEntry(name);
  const network = limelight.loadNetwork(device, entry, limelight.readSafetensors(weights, name).tensors);
  const input = limelight.preprocess(network, pixels);
  const trace = limelight.observe(network, input);
  const logits = [...(await trace.outputs.logits.data())];
  trace.dispose();
  const explanations = [];
  for (const found of await limelight.explain(network, input, { methods })) {
    const { method, className, logit, probability } = found;
    const read = async (tensor?: Limelight.Tensor) => (tensor ? [...(await tensor.data())] : []);
    const [map, upsampled, weights] = [
      await read(found.map),
      await read(found.upsampled),
      await read(found.weights),
    ];
    explanations.push({ method, className, logit, probability, map, upsampled, weights });
    limelight.disposeExplanation(found);
  }
  input.dispose();
  limelight.disposeNetwork(network);
  return { adapter: `${device.kind}: ${device.name}`, logits, explanations };
}
