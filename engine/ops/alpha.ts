// Grad-CAM++'s weights.

import * as kernels from '../../kernels/alpha/alpha.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { apply, type Operation } from '../operation.ts';
import { sameShape, show, sizeOf, type Tensor } from '../tensor.ts';

const weighed: Operation<undefined> = {
  name: 'alphaWeights',
  shape: ([a, g]) => {
    if (!sameShape(a!.shape, g!.shape)) {
      throw new ShapeError(`alphaWeights: a gradient ${show(g!.shape)} at a feature map ${show(a!.shape)}`);
    }
    return a!.shape.slice(0, 2);
  },
  forward: ([a, g], y) => {
    const launch = kernels.alphaWeights(y.size, sizeOf(a!.shape.slice(2)));
    run(y.device, launch, [a!.storage, g!.storage], y.storage);
  },
};

/**
 * The sum of ReLU(g) / (2 + ReLU(g) s) over each plane of a gradient g at a feature map [N, C, H, W], with s the sum of
 * the map's plane: [N, C]. Not differentiable.
 */
export const alphaWeights = (featureMap: Tensor, gradient: Tensor): Tensor =>
  apply(weighed, [featureMap, gradient], undefined);
