// Guided backpropagation (Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, ICLR Workshops 2015), and
// Guided Grad-CAM (Selvaraju 2017, section 3.2).
//
//   G = dS/dX, where going back through a ReLU also cuts off what is below 0
//   M = max_c |G_c|                                        guided backpropagation
//   M = max_c |G_c| U(L / max L)                           Guided Grad-CAM; U: upsampling to the input's size,
//                                                          L = ReLU(sum_k w_k A_k), Grad-CAM's map
//
// L is divided by its maximum, which the paper does not write: a product of two small gradients would be lost in f32.
// Sharp, but mostly a picture of the picture: with weights drawn at random it hardly changes (Adebayo 2018, Sanity Checks).

import { abs, grad, max, mul, relu, reshape, sum, type Tensor } from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { normaliseMap, upsampleMap } from '../map.ts';
import { type Method, type MethodContext, stepsOf, type Term } from '../method.ts';
import { guided } from '../rules.ts';
import { scoreOf } from '../target.ts';
import type { Trace } from '../trace.ts';
import { gradCam } from './grad-cam.ts';

const guidedTerm: Term = {
  tex: 'G = \\frac{\\partial^{+} S}{\\partial X}',
  equation: 'Springenberg 2015, the definition',
  is: 'gradient at the picture, cut off at zero at each ReLU [1, C, H, W]',
  note: (_, { network }) =>
    network.graph.nodes.some((node) => guided(node))
      ? 'guided gradients show edges of the picture whatever the network has learnt (Adebayo 2018)'
      : 'the network has no ReLU, so that guided gradients are plain ones',
};

/** G [1, C, H, W]. */
const guidedGradient = ({ picture, vary }: Trace, { target }: MethodContext): Tensor =>
  grad((x: Tensor) => sum(scoreOf(target, vary(new Map([[INPUT, x]]), undefined, guided))))(picture);

/** The largest magnitude over the channels [H, W]. */
const strength = (G: Tensor): Tensor => reshape(max(abs(G), [1]), G.shape.slice(2));

export const guidedBackpropagation: Method = {
  name: 'guided-backpropagation',
  title: 'Guided backpropagation',
  paper: 'Springenberg 2015',
  relu: false,
  terms: {
    G: guidedTerm,
    M: {
      tex: 'M = \\max_c \\lvert G_c \\rvert',
      equation: 'Springenberg 2015, as one map',
      is: 'largest magnitude over the colours [H, W]',
    },
  },
  explain({ trace }, context) {
    const G = guidedGradient(trace, context);
    return { G, M: strength(G) };
  },
};

export const guidedGradCam: Method = {
  name: 'guided-grad-cam',
  title: 'Guided Grad-CAM',
  paper: 'Selvaraju 2017',
  relu: false,
  terms: {
    G: guidedTerm,
    w_k: gradCam.terms.w_k!,
    M: {
      tex: 'M = \\max_c \\lvert G_c \\rvert \\, U \\left( \\frac{L}{\\max L} \\right), \\quad L = \\mathrm{ReLU} \\sum_k w_k A_k',
      equation: "Selvaraju 2017, section 3.2, with Grad-CAM's map over its maximum",
      is: "guided gradients where Grad-CAM's map is [H, W]",
    },
  },
  *explain(seen, context) {
    const { trace } = seen;
    const { w_k, M } = yield* stepsOf(gradCam, seen, context);
    const G = guidedGradient(trace, context);
    const size = trace.picture.shape.slice(2) as [number, number];
    return { G, w_k: w_k!, M: mul(strength(G), upsampleMap(normaliseMap(relu(M)), size)) };
  },
};
