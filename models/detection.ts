// What a network that finds objects gives.

/** Names of a detector's outputs: of every box that it proposes, where it lies and what is in it. */
export interface Detection {
  /** [N, boxes, 4]: x and y of the centre, width, height, in pixels of the input. */
  readonly boxes: string;
  /** [N, boxes, classes]: the probability that an object of the class is there. */
  readonly scores: string;
}

/** An object that a detector found. */
export interface Box {
  /** How it is called: 0 for the surest of the picture, and so on. */
  readonly number: number;
  /** Which of the boxes that the detector proposes it is. */
  readonly proposal: number;
  readonly classIndex: number;
  readonly className: string;
  /** Probability of the class there. */
  readonly score: number;
  /** Edges in pixels of the input. */
  readonly edges: readonly [x0: number, y0: number, x1: number, y1: number];
}
