// What the class keeps of its probability when only the map's part of the picture is left (Chattopadhay et al. 2018;
// gain: Zhang et al. 2024, Opti-CAM). Y: probability on the picture X; O: on X o M / max M.
//
//   Average Drop = mean max(0, Y - O) / Y     Average Increase = mean [O > Y]     Average Gain = mean max(0, O - Y) / (1 - Y)
//
// A map of ones leaves the picture as it is and drops nothing: read these with a measure of how much a map covers, such as
// ADCC's complexity. Pictures with black around objects were not seen in training, and the network may say anything.

import { maskedPicture } from './masked.ts';
import { type Metric, mean } from './metric.ts';

/** The drop of one picture, a share of Y; 0 where Y is 0. */
export const drop = (y: number, o: number): number => (y > 0 ? Math.max(0, y - o) / y : 0);
/** 1 where the probability has risen. */
export const increase = (y: number, o: number): number => (o > y ? 1 : 0);
/** The gain of one picture, a share of what was left to gain. */
export const gain = (y: number, o: number): number => (y < 1 ? Math.max(0, o - y) / (1 - y) : 0);

export const confidence: Metric = {
  name: 'confidence',
  needs: 'nothing',
  async measure({ picture, map, black, probability, probabilities }) {
    const [o] = await probabilities([maskedPicture(picture, map, black)]);
    const ofBoth = [drop, increase, gain].map((of) => of(probability, o!));
    return [...ofBoth, 1];
  },
  columns: [mean('drop', 'lower'), mean('increase', 'higher', '%', 1), mean('gain', 'higher', '%', 2)],
};
