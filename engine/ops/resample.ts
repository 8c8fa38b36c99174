// Bilinear resampling and its adjoint, each other's vjp, and Score-CAM's mask.

import { mask } from '../../kernels/mask/mask.ts';
import { bilinear, bilinearAdjoint, type ResampleGeometry } from '../../kernels/upsample/upsample.ts';
import { run } from '../device.ts';
import { ShapeError } from '../errors.ts';
import { jointly } from '../facts.ts';
import { apply, type Operation } from '../operation.ts';
import { runParts } from '../parts.ts';
import { windowPlaces } from '../places.ts';
import { sameShape, show, type Tensor } from '../tensor.ts';

const upsampling: Operation<ResampleGeometry> = {
  name: 'upsample',
  shape: ([x], g) => [x!.shape[0]!, x!.shape[1]!, ...g.output],
  forward: ([x], y, g) => run(y.device, bilinear(g), [x!.storage], y.storage),
  vjp: (d, { attributes }) => [apply(upsamplingAdjoint, [d], attributes)],
  places: ([x], shape) => windowPlaces(x, shape),
  affine: jointly,
};

const upsamplingAdjoint: Operation<ResampleGeometry> = {
  name: 'upsample adjoint',
  shape: ([d], g) => [d!.shape[0]!, d!.shape[1]!, ...g.input],
  forward: ([d], y, g) => runParts(y.device, bilinearAdjoint(g), [d!.storage], y.storage),
  vjp: (d, { attributes }) => [apply(upsampling, [d], attributes)],
};

/** x [N, C, H, W] resampled to [N, C, height, width], bilinear without anti-aliasing, as PyTorch's interpolate. */
export function upsample(
  x: Tensor,
  size: readonly [height: number, width: number],
  options: { readonly alignCorners?: boolean } = {},
): Tensor {
  const positive = [...size, ...x.shape.slice(2)].every((n) => Number.isInteger(n) && n > 0);
  if (x.shape.length !== 4 || !positive) {
    throw new ShapeError(
      `upsample: ${show(x.shape)} to ${show(size)}: four axes and sizes from 1 are needed`,
    );
  }
  const planes = x.shape[0]! * x.shape[1]!;
  const input = [x.shape[2]!, x.shape[3]!] as const;
  return apply(upsampling, [x], { planes, input, output: size, alignCorners: options.alignCorners ?? false });
}

const masking: Operation<undefined> = {
  name: 'mask',
  shape: ([x, u, low, high]) => {
    const [one, channels, ...size] = x!.shape;
    const [masks] = u!.shape;
    const fits =
      one === 1 &&
      x!.shape.length === 4 &&
      sameShape(u!.shape, [masks!, 1, ...size]) &&
      [low, high].every((range) => sameShape(range!.shape, [masks!]));
    if (!fits) {
      const [images, ...rest] = [x, u, low, high].map((t) => show(t!.shape));
      throw new ShapeError(
        `mask: image ${images} under ${rest.join(', ')}; [1, C, H, W] under [K, 1, H, W], [K] and [K] is needed`,
      );
    }
    return [masks!, channels!, ...size];
  },
  forward: ([x, u, low, high], y) => {
    const [masks, channels, height, width] = y.shape as [number, number, number, number];
    const inputs = [x!, u!, low!, high!].map((t) => t.storage);
    run(y.device, mask(masks, channels, height * width), inputs, y.storage);
  },
};

/**
 * One image x [1, C, H, W] under K masks u [K, 1, H, W], each brought to 0..1 by its range low, high [K]:
 * [K, C, H, W]. A mask without a range gives zeros. Not differentiable: Score-CAM takes no gradient.
 */
export const maskImages = (x: Tensor, u: Tensor, low: Tensor, high: Tensor): Tensor =>
  apply(masking, [x, u, low, high], undefined);
