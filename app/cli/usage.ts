// What was typed makes no sense: exit code 2.

import { LimelightError } from '../../engine/errors.ts';

export class UsageError extends LimelightError {}
