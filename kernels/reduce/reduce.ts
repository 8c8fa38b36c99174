// Launches of the reductions along one axis of [outer, n, inner].

import {
  type Epilogue,
  epilogueConstants,
  epilogueParams,
  type Launch,
  launchGroups,
  loop,
  NO_EPILOGUE,
  launch as newLaunch,
} from '../kernel.ts';
import { blocks, groupLoop, manyParts, type Parts, type PartsLaunch, shortParts } from '../parts.ts';
import { addends, type Plan } from '../plan.ts';
import { figuresOf, goTogether, type Profile } from '../profile.ts';

/** What is made of a line, in the order of OP in reduce.wgsl; `norm` is the largest magnitude. */
export const reductions = ['sum', 'max', 'min', 'norm'] as const;
export type Reduction = (typeof reductions)[number];

/** scale * reduction along the middle axis -> [outer, inner]; its parts are to be reduced likewise. */
export function reduce(
  of: Reduction,
  outer: number,
  n: number,
  inner: number,
  scale: number,
  profile: Profile,
): PartsLaunch {
  if (!goTogether(profile, n, inner))
    return foldAlone(of, outer, n, inner, scale, manyParts(outer * inner, n));
  const { parts, chunk } = manyParts(outer, n, figuresOf(profile).enoughTiles);
  const count = parts * outer;
  const params = { count, n, lines: outer, chunk, scale };
  const constants = { OP: reductions.indexOf(of) };
  return {
    launch: launchGroups('reduceGroup', count, params, constants, groupLoop(chunk)),
    parts,
    elements: outer,
  };
}

/** The same, each part by one thread. */
function foldAlone(
  of: Reduction,
  outer: number,
  n: number,
  inner: number,
  scale: number,
  { parts, chunk }: Parts,
): PartsLaunch {
  const elements = outer * inner;
  const count = parts * elements;
  const params = { count, n, inner, lines: elements, chunk, scale };
  const iterations = blocks(chunk, 4) + loop(3);
  return {
    launch: newLaunch('reduce', count, params, { OP: reductions.indexOf(of) }, iterations),
    parts,
    elements,
  };
}

/** A launch in parts, which are added up, or reduced as `by` says. */
export function reduced(
  { launch, parts, elements }: PartsLaunch,
  reads: readonly string[],
  writes: string,
  by: Reduction = 'sum',
): Plan {
  if (parts === 1) return [{ launch, reads, writes, elements }];
  const made = `${reads[0]} in parts`;
  const rest = foldAlone(by, 1, parts, elements, 1, shortParts(parts));
  return [{ launch, reads, writes: made, elements: parts * elements }, ...reduced(rest, [made], writes, by)];
}

/** Rows and columns of a result [.., rows, columns], along one of which a bias goes. */
interface Sides {
  readonly rows: number;
  readonly columns: number;
}

/**
 * A product's launch and what follows it; `reads` are its factors. One part has the epilogue in it; several have none, and
 * add-parts.wgsl adds them up and does the rest.
 */
export function addedUp(
  { launch, parts, elements }: PartsLaunch,
  reads: readonly string[],
  writes: string,
  epilogue: Epilogue,
  { rows, columns }: Sides,
): Plan {
  const [first] = reads as [string];
  if (parts === 1) return [{ launch, reads: [...reads, ...addends(epilogue, first)], writes, elements }];
  const made = `${first} in parts`;
  const params = { count: elements, parts, rows, columns, ...epilogueParams(epilogue) };
  return [
    { launch, reads: [...reads, ...addends(NO_EPILOGUE, first)], writes: made, elements: parts * elements },
    {
      launch: newLaunch('addParts', elements, params, epilogueConstants(epilogue), loop(parts)),
      reads: [made, ...addends(epilogue, made)],
      writes,
      elements,
    },
  ];
}

/** Numbers that each thread of `overNorm` may as well look through by itself. */
export const FEW_NORMS = 16;
const VECTORS_PER_THREAD = 4;

/** `count` elements over the largest magnitude of `norms` numbers, which is kept within `range`. */
export function overNorm(count: number, norms: number, range: readonly [low: number, high: number]): Launch {
  const vectors = Math.ceil(count / 4);
  const [low, high] = range;
  const iterations = loop(norms) + loop(VECTORS_PER_THREAD);
  const params = { vectors, norms, low, high };
  return newLaunch('overNorm', Math.ceil(vectors / VECTORS_PER_THREAD), params, {}, iterations);
}

/** Index of the largest (or smallest) element along the middle axis -> [outer, inner], u32; parts are for `best`. */
export function argmax(
  outer: number,
  n: number,
  inner: number,
  smallest: boolean,
  profile: Profile,
): PartsLaunch {
  const { parts, chunk } = shortParts(n);
  const elements = outer * inner;
  const count = parts * elements;
  const params = { count, n, inner, lines: elements, chunk };
  const constants = { SIGN_NEGATIVE: Number(smallest) };
  if (goTogether(profile, n, inner)) {
    const params = { count, n, lines: elements, chunk };
    const launch = launchGroups('argmaxGroup', count, params, constants, groupLoop(chunk));
    return { launch, parts, elements };
  }
  return { launch: newLaunch('argmax', count, params, constants, loop(chunk)), parts, elements };
}

/** Whether `best` chooses the largest or the smallest, and of which elements; see the kernel. */
export interface Choice {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
  readonly m: number;
  readonly smallest: boolean;
}

/**
 * The best of `parts` choices of elements along the middle axis of x [outer, n, inner]: choices [parts, outer, m, inner] ->
 * [outer, m, inner], all u32.
 */
export function best(parts: number, { outer, n, inner, m, smallest }: Choice): Launch {
  const count = outer * m * inner;
  const constants = { SIGN_NEGATIVE: Number(smallest) };
  return newLaunch('best', count, { count, n, inner, m, parts }, constants, loop(parts));
}

/** Indices of elements of `x`: a launch in parts, and the best of their choices; see `best`. */
export function chosen(
  { launch, parts, elements }: PartsLaunch,
  choice: Choice,
  x: string,
  writes: string,
): Plan {
  if (parts === 1) return [{ launch, reads: [x], writes, elements }];
  const choices = `${x} in parts`;
  return [
    { launch, reads: [x], writes: choices, elements: parts * elements },
    { launch: best(parts, choice), reads: [x, choices], writes, elements },
  ];
}
