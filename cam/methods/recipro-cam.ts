// Recipro-CAM (Byun, Lee: Recipro-CAM, 2022).
//
//   M(x, y) = S(A_xy)                  A_xy: A at the position (x, y), 0 at all others
//
// The network after the layer is run once for each position, where it is not linear. Behind global average pooling and a
// linear layer M is CAM / Z + b, with b the bias of the class. The authors' code has the probability for S; here it is
// what is explained. The paper has no ReLU and shows the map between its minimum and its maximum.

import type { Method } from '../method.ts';
import { scoreByPosition } from '../positions.ts';

export const reciproCam: Method = {
  name: 'recipro-cam',
  title: 'Recipro-CAM',
  paper: 'Byun 2022',
  relu: false,
  terms: {
    M: {
      tex: 'M(x, y) = S(A \\circ \\delta_{xy})',
      equation: 'Byun 2022, the definition',
      is: 'target where the feature map has one position alone [h, w]',
    },
  },
  *explain(seen, context) {
    return { M: yield* scoreByPosition(seen, context, 'alone') };
  },
};
