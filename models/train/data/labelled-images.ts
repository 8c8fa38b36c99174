// The form in which every data set is handed to training, and the error of everything that reads or makes data.

import { LimelightError } from '../../../engine/errors.ts';

/** A data set is missing or malformed, or a request for data cannot be met; the message says which and why. */
export class DataError extends LimelightError {}

/** One split of a classification data set, 8 bits a sample. */
export interface LabelledImages {
  count: number;
  channels: number;
  height: number;
  width: number;
  /** `[count, channels, height, width]`, 0 to 255. */
  pixels: Uint8Array;
  /** `[count]`, each an index into `classes`. */
  labels: Uint8Array;
  classes: string[];
}

/**
 * Refuses labels that name no class.
 * @throws DataError naming `where` and the first bad label
 */
export function checkLabels(labels: ArrayLike<unknown>, classes: number, where: string): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i];
    if (!Number.isInteger(label) || (label as number) < 0 || (label as number) >= classes) {
      throw new DataError(
        `${where}: label ${i} is ${JSON.stringify(label)}, expected an integer from 0 to ${classes - 1}`,
      );
    }
  }
}
