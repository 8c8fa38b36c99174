// F-CAM (Belharbi, Sarraf, Pedersoli, Ben Ayed, McCaffrey, Granger: F-CAM, WACV 2022).
//
//   z = D(A^1, A^2, ..)                the decoder's scores [2, H, W] of background and foreground, from the network's
//                                      feature maps
//   M = e^{z_1} / (e^{z_0} + e^{z_1})  the foreground, at the picture's size
//
// The network stays as it is; the decoder was trained for it (models/train/fcam.ts), with neither boxes nor masks: from
// CAM's seeds, the colours of pixels, and that neither side is empty. No class occurs in M: it is the object of a picture
// that holds one. No ReLU.

import { narrow, reshape, softmax } from '../../engine/index.ts';
import { run } from '../../models/run.ts';
import type { Method } from '../method.ts';

export const fCam: Method = {
  name: 'f-cam',
  title: 'F-CAM',
  paper: 'Belharbi 2022',
  relu: false,
  decoder: 'f-cam',
  terms: {
    z: {
      tex: 'z = D(A^1, A^2)',
      equation: "Belharbi 2022, the decoder's output",
      is: 'scores of background and foreground [1, 2, H, W]',
      note: () => 'F-CAM does not look at the class: the map is of the one object of a picture',
    },
    M: {
      tex: 'M = \\frac{e^{z_1}}{e^{z_0} + e^{z_1}}',
      equation: "Belharbi 2022, the decoder's output",
      is: 'probability of the foreground for each pixel [H, W]',
    },
  },
  explain({ trace }, { decoder }) {
    const { graph } = decoder!;
    const inputs = graph.inputs!.map((name) => [name, trace.value(name)] as const);
    const z = run(decoder!, new Map(inputs), [graph.output]).get(graph.output)!;
    const M = narrow(softmax(z, 1), 1, 1, 1);
    return { z, M: reshape(M, M.shape.slice(2)) };
  },
};
