// The typed errors of the CAM layer.

import { LimelightError } from '../engine/index.ts';

/** The target layer is not one that can be explained, or not by this method. */
export class LayerError extends LimelightError {}

/** The network does not give what is to be explained, or not to this method. */
export class TargetError extends LimelightError {}

/** Numbers to be explained, or an explanation, are NaN or infinite; the message says where they first were. */
export class NotFiniteError extends LimelightError {}

/** No method has that name. */
export class MethodError extends LimelightError {}
