// What a network gives that says of each place what is there.

/** The name of a segmentation's output: [N, classes, h, w], the logits at each place. */
export interface Segmentation {
  readonly scores: string;
}
