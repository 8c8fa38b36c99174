// The typed error of the metrics.

import { LimelightError } from '../../engine/index.ts';

/** What is to be measured does not fit together, or holds NaN or infinity; the message says what was expected. */
export class MetricError extends LimelightError {}
