// The typed errors of reading and writing pictures.

import { LimelightError } from '../../engine/errors.ts';

/** A file that is not a picture we can decode; the message names the file and says what to do. */
export class ImageError extends LimelightError {}

/** A file that could not be written; nothing was left half-written. The message says why. */
export class OutputError extends LimelightError {}
