// The table of ONNX operators that Limelight reads: name -> builder.

import type { Builder } from './call.ts';
import { elementwise } from './elementwise.ts';
import { folded } from './folded.ts';
import { fused } from './fused.ts';
import { layout } from './layout.ts';
import { neural } from './neural.ts';
import { quantised } from './quantised.ts';
import { reductions } from './reduce.ts';
import { resizing } from './resize.ts';

export const operators: ReadonlyMap<string, Builder> = new Map(
  Object.entries({
    ...elementwise,
    ...layout,
    ...neural,
    ...reductions,
    ...resizing,
    ...folded,
    ...fused,
    ...quantised,
  }),
);
