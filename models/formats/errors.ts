// The typed error of the file formats.

import { LimelightError } from '../../engine/errors.ts';

/** A file is malformed, lies about its contents, or uses a part of its format that is not supported. */
export class FormatError extends LimelightError {}
