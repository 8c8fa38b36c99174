// Occlusion of a position at a layer (after Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV
// 2014, who occlude the picture): of a transformer, of a token.
//
//   M(x, y) = S(A) - S(A without (x, y))               without: 0 in all channels
//
// The tail is run once for each position, where it is not linear. Behind global average pooling and a linear layer M is
// CAM / Z. No ReLU: M < 0 where the position speaks against what is explained.

import { sub } from '../../engine/index.ts';
import { tokenLayer } from '../../models/target-layer.ts';
import type { Method } from '../method.ts';
import { scoreByPosition } from '../positions.ts';

export const tokenOcclusion: Method = {
  name: 'token-occlusion',
  title: 'Occlusion at a layer',
  paper: 'Zeiler 2014',
  relu: false,
  layerOf: tokenLayer,
  terms: {
    M: {
      tex: 'M(x, y) = S(A) - S(A \\circ (1 - \\delta_{xy}))',
      equation: 'Zeiler 2014, on a feature map',
      is: 'what the target loses with the position [h, w]',
    },
  },
  *explain(seen, context) {
    const { featureMap, score } = seen;
    const without = yield* scoreByPosition(seen, context, 'without');
    return { M: sub(score(context.target, featureMap), without) };
  },
};
