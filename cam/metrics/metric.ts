// What a metric is: what one map adds to a sum, and what the sum over all pictures says.
//
// Every metric here, averages as well as those that are maxima over thresholds or pooled over pixels, is a function of a
// sum over pictures. So results of parts of a data set are added, memory does not grow with the number of pictures, and a
// resampled data set is a weighted sum (bootstrap.ts).

import { type Box, type HostMap, type Mask, maskOf } from './host-map.ts';

/** A picture as the network takes it. */
export interface Picture {
  readonly channels: number;
  readonly width: number;
  readonly height: number;
  /** [channels, height, width]. */
  readonly data: Float32Array;
}

/** One map of one class on one picture, and what may be asked about it. */
export interface Subject {
  /** At the picture's size. */
  readonly map: HostMap;
  /** Where the class's objects are; none where the data does not say. */
  readonly boxes: readonly Box[];
  readonly mask: Mask | undefined;
  /** Where the class's objects may be that are neither asked for nor wrong to find. */
  readonly ignored?: readonly Box[] | undefined;
  /** Every object on the picture, of whatever class, and the picture without it; undefined where it cannot be had. */
  readonly removed?: readonly { readonly box: Box; readonly picture: Picture }[] | undefined;
  readonly picture: Picture;
  /** What black becomes in each channel of the network's input. */
  readonly black: readonly number[];
  /** The class's probability on the picture. */
  readonly probability: number;
  /** The class's probability on other pictures of the same size, which may be made one at a time. */
  readonly probabilities: (pictures: Iterable<Picture>) => Promise<readonly number[]>;
  /** The same method's map of the same class on another picture. */
  readonly explain: (picture: Picture) => Promise<HostMap>;
  /**
   * The largest change of the method's map at the layer, as a share of the map, per unit change of the picture, in lengths;
   * undefined where the map is zero or cannot be differentiated.
   */
  readonly steepest: () => Promise<number | undefined>;
  /** The same method's maps as layers lose what they learnt: one layer alone, or it and all after it, the last one first. */
  readonly redrawn: (way: 'cascading' | 'independent') => Promise<readonly HostMap[]>;
  /** The seed of whatever is drawn at random; the same for all methods on one picture. */
  readonly seed: number;
  /** 0 or 1, drawn by the picture: a threshold that is measured on one half is chosen on the other. */
  readonly half: 0 | 1;
}

/** Where the class's objects are: the data's mask, or else its boxes. */
export const regionOf = ({ map, mask, boxes }: Pick<Subject, 'map' | 'mask' | 'boxes'>): Mask =>
  mask ?? maskOf(boxes, map.width, map.height);

/** A number of a metric, as tables show it. */
export interface Column {
  readonly title: string;
  /** Which end of the scale speaks for the map; undefined where it is a fact about the data. */
  readonly better: 'higher' | 'lower' | undefined;
  /** How a value is printed: a share in per cent, or a plain number. */
  readonly unit: '%' | '';
  /** From the sum of what `measure` returned over maps. */
  readonly value: (sums: ArrayLike<number>) => number;
}

/** What is measured of one map, as sums that maps add to, and the columns made of the sums. */
export interface Metric {
  readonly name: string;
  /** What the data must have. */
  readonly needs: 'nothing' | 'boxes' | 'region' | 'removed';
  /** What one map adds to the sums; always of the same length. */
  readonly measure: (subject: Subject) => ArrayLike<number> | Promise<ArrayLike<number>>;
  readonly columns: readonly Column[];
}

/** A column that is the mean of entry `at` of the sums, which end with the number of maps. */
export const mean = (
  title: string,
  better: Column['better'],
  unit: Column['unit'] = '%',
  at = 0,
): Column => ({
  title,
  better,
  unit,
  value: (sums) => sums[at]! / sums[sums.length - 1]!,
});
