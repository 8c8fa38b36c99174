// The metrics' surface, and the table of those that `limelight evaluate` measures.

import { averageAdcc } from './adcc.ts';
import { boxAcc, boxAccLargest } from './box-accuracy.ts';
import { confidence } from './confidence.ts';
import { counterfactual } from './counterfactual.ts';
import { energy } from './energy.ts';
import { MetricError } from './errors.ts';
import { infidelityMetric } from './infidelity.ts';
import type { Metric } from './metric.ts';
import { pxap } from './pixel-precision.ts';
import { pointingGame } from './pointing.ts';
import { deletionInsertion } from './removal.ts';
import { roadMetric } from './road.ts';
import { sanity } from './sanity.ts';
import { localSensitivity, sensitivity } from './sensitivity.ts';

export { adcc, coherency, complexity } from './adcc.ts';
export { addPicture, drawsOf, emptySums, estimate, type Sums } from './bootstrap.ts';
export { boxAccuracy, DELTAS, maxBoxAcc, maxBoxAccV2, splitBoxAcc } from './box-accuracy.ts';
export { boxOverlap, iou, LEVELS } from './box-overlap.ts';
export { drop, gain, increase } from './confidence.ts';
export { pearson, ranks, spearman } from './correlation.ts';
export { objectAgreement } from './counterfactual.ts';
export { energyPointing } from './energy.ts';
export { MetricError } from './errors.ts';
export { cellOf, gridPointing } from './grid-pointing.ts';
export { type Box, type HostMap, type Mask, maskOf } from './host-map.ts';
export { infidelity, mapInfidelity } from './infidelity.ts';
export { maskedPicture } from './masked.ts';
export type { Column, Metric, Picture, Subject } from './metric.ts';
export { levelCounts, pixelAveragePrecision } from './pixel-precision.ts';
export { pointing } from './pointing.ts';
export { areaUnder, between, blurred, removal, removalOrder } from './removal.ts';
export { imputed, road } from './road.ts';
export { likeness } from './sanity.ts';
export { sensitivityMax } from './sensitivity.ts';
export { ssim } from './ssim.ts';

/** Every metric by its name. */
export const metrics: ReadonlyMap<string, Metric> = new Map(
  [
    pointingGame,
    energy,
    boxAcc,
    boxAccLargest,
    pxap,
    confidence,
    averageAdcc,
    deletionInsertion,
    roadMetric,
    infidelityMetric,
    sensitivity,
    localSensitivity,
    sanity,
    counterfactual,
  ].map((metric) => [metric.name, metric]),
);

/** A metric by name; throws with the names that there are. */
export function metricOf(name: string): Metric {
  const metric = metrics.get(name);
  if (metric) return metric;
  throw new MetricError(`there is no metric "${name}"; the metrics are ${[...metrics.keys()].join(', ')}`);
}
