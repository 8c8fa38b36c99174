// F-CAM (Belharbi, Sarraf, Pedersoli, Ben Ayed, McCaffrey, Granger: F-CAM, WACV 2022).
//
//   z = D(A^1, A^2, ..)                the decoder's scores [2, H, W] of background and foreground, from the network's
//                                      feature maps
//   M = e^{z_1} / (e^{z_0} + e^{z_1})  the foreground, at the picture's size
//
// The network stays as it is; the decoder was trained for it (models/train/fcam.ts), with neither boxes nor masks: from
// CAM's seeds, the colours of pixels, and that neither side is empty. No class occurs in M: it is the object of a picture
// that holds one. No ReLU.
//
// `f-cam-class` is not the paper's but Limelight's: the decoder takes the class's CAM in the place of the features, so
// that M is that class's object among several. It presupposes that the class is on the picture: the CAM is brought to
// 0..1, however weak it is.

import { narrow, reshape, softmax, type Tensor } from '../../engine/index.ts';
import { CLASS_MAP, classMap } from '../../models/architectures/fcam.ts';
import { run } from '../../models/run.ts';
import type { Method, MethodContext } from '../method.ts';
import type { TracedLayer } from '../trace.ts';
import { cam } from './cam.ts';

const foreground = {
  tex: 'M = \\frac{e^{z_1}}{e^{z_0} + e^{z_1}}',
  equation: "Belharbi 2022, the decoder's output",
  is: 'probability of the foreground for each pixel [H, W]',
};

const scores = (tex: string) => ({
  tex,
  equation: "Belharbi 2022, the decoder's output",
  is: 'scores of background and foreground [1, 2, H, W]',
});

/** The decoder's scores from nodes of the network, and what else it takes. */
function decode({ trace }: TracedLayer, { decoder }: MethodContext, other: ReadonlyMap<string, Tensor>) {
  const { graph } = decoder!;
  const inputs = graph.inputs!.map((name) => [name, other.get(name) ?? trace.value(name)] as const);
  const z = run(decoder!, new Map(inputs), [graph.output]).get(graph.output)!;
  const M = narrow(softmax(z, 1), 1, 1, 1);
  return { z, M: reshape(M, M.shape.slice(2)) };
}

export const fCam: Method = {
  name: 'f-cam',
  title: 'F-CAM',
  paper: 'Belharbi 2022',
  relu: false,
  decoder: 'f-cam',
  terms: {
    z: {
      ...scores('z = D(A^1, A^2)'),
      note: () => 'F-CAM does not look at the class: the map is of the one object of a picture',
    },
    M: foreground,
  },
  explain: (seen, context) => decode(seen, context, new Map()),
};

export const fCamClass: Method = {
  name: 'f-cam-class',
  title: 'F-CAM for a class of several',
  paper: 'after Belharbi 2022',
  relu: false,
  decoder: 'f-cam-class',
  terms: {
    C: { ...cam.terms.M, is: "the class's CAM before it is brought to 0..1 [h, w]" },
    z: scores('z = D(A^1, \\frac{C - \\min C}{\\max C - \\min C})'),
    M: foreground,
  },
  explain(seen, context) {
    const { M: C } = cam.explain(seen, context);
    return { C, ...decode(seen, context, new Map([[CLASS_MAP, classMap(reshape(C, [1, 1, ...C.shape]))]])) };
  },
};
