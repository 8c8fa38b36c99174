// With a sigmoid behind logits that are affine in A, if only between kinks, H A has the direction of the gradient, and ShapleyCAM's weights are
// Grad-CAM's times one number: the maps are the same.

import { gradCam } from '../methods/grad-cam.ts';
import { shapleyCam } from '../methods/shapley-cam.ts';
import { probability } from '../targets.ts';
import { type Claim, gap, magnitude, notPiecewise, numbersOf, total } from './claim.ts';

export const shapleyCamIsGradCam: Claim = {
  name: 'shapley-cam',
  sentence: "with a sigmoid ShapleyCAM's weights are Grad-CAM's times one number",
  tex: 'S = \\sigma(z) \\Rightarrow w_k^{\\text{Shapley}} = c \\, w_k^{\\text{Grad-CAM}}',
  exempt: notPiecewise,
  async residual(seen, classIndex) {
    const target = probability(classIndex, 'sigmoid');
    const { w_k: shapley } = await numbersOf(shapleyCam, seen, classIndex, { target });
    const { w_k: grad } = await numbersOf(gradCam, seen, classIndex, { target });
    const size = magnitude(grad!);
    if (size === 0) return magnitude(shapley!) === 0 ? 0 : 1;
    const dot = (a: Float32Array, b: Float32Array) =>
      total(a.map((value, i) => (value / size) * (b[i]! / size)));
    const c = dot(shapley!, grad!) / dot(grad!, grad!);
    return gap(
      shapley!,
      grad!.map((weight) => c * weight),
      size + magnitude(shapley!),
    );
  },
};
