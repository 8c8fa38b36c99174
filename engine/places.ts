// Where in the picture each element of a value lies. A dry run carries this along: operations that move elements move
// their places, windows lay a new grid over the part of the picture that they cover, sums lie where all of their terms lie
// together. What a value's relation to the picture is, in whatever layout, is then known rather than guessed. Rows and
// columns of the picture go apart: a map of a million pixels has a thousand of each.

import { type Shape, sizeOf } from './tensor.ts';

/** A stretch of the picture along one direction, its ends as shares of the height or the width, 0 to 1. */
export type Span = readonly [from: number, to: number];

/** All of the picture. */
export const WHOLE: Span = [0, 1];
/** The span of what does not come from the picture; joined with another span it gives that span. */
export const NOWHERE: Span = [Infinity, -Infinity];

/** The span of every element of a value, along one direction. */
export interface Places {
  /** Whether a span is all that an element sees of the picture; if not, where it lies, whatever more it sees. */
  readonly sees: boolean;
  /** The value's shape. */
  readonly shape: Shape;
  /** The same, with 1 for axes along which spans do not change: the shape of `spans`. */
  readonly kept: Shape;
  readonly spans: readonly Span[];
}

/** The places of one value, which may not come from the picture at all. */
export type MaybePlaces = Places | undefined;

/** Both directions of a value that comes from the picture. */
export interface Whereabouts {
  readonly rows: Places;
  readonly columns: Places;
}

/** Spans made of others differ in their last digits. */
const NEAR = 1e-6;

export const isNowhere = ([from, to]: Span): boolean => from > to;

const isInside = (a: Span, b: Span): boolean => a[0] >= b[0] - NEAR && a[1] <= b[1] + NEAR;

export const isSame = (a: Span, b: Span): boolean =>
  isNowhere(a) ? isNowhere(b) : isInside(a, b) && isInside(b, a);

const join = (a: Span, b: Span): Span => [Math.min(a[0], b[0]), Math.max(a[1], b[1])];

/**
 * Where a function of two elements lies. A number that comes from a larger part (a gate, a mean, what attention added) does
 * not move an element away from its own; two elements that lie apart give one that lies in both places.
 */
const meet = (a: Span, b: Span): Span =>
  isNowhere(a) || isInside(b, a) ? b : isNowhere(b) || isInside(a, b) ? a : join(a, b);

/** The same for a sum of products: queries times keys lie where the queries do. */
const meetLeft = (a: Span, b: Span): Span => (isNowhere(a) || isInside(b, a) ? b : a);

/**
 * Spans that a dry run may go through: some seconds, many times what networks have. What comes after them is taken to lie in
 * all of the picture. So no file keeps the program busy by sizes that it claims.
 */
const MOST_SPANS = 2 ** 24;
let left = Number.POSITIVE_INFINITY;

/** Runs `use` with an allowance of spans of its own. */
export function withAllowance<T>(use: () => T): T {
  const before = left;
  left = MOST_SPANS;
  try {
    return use();
  } finally {
    left = before;
  }
}

/** Takes so many from the allowance; false where it has not as many. */
function affords(count: number): boolean {
  if (count > left) return false;
  left -= count;
  return true;
}

const total = (counts: Shape): number => counts.reduce((sum, n) => sum + n, 0);

/** The place of an index in `spans`. */
function offset(kept: Shape, index: readonly number[]): number {
  let at = 0;
  for (const [axis, size] of kept.entries()) at = at * size + (size === 1 ? 0 : index[axis]!);
  return at;
}

const spanAt = ({ kept, spans }: Places, index: readonly number[]): Span => spans[offset(kept, index)]!;

/** Makes an index the next one of a shape, the last axis first. */
function advance(index: number[], shape: Shape): void {
  for (let axis = index.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
}

/** Places from a function of the index, which is 0 along axes that are said not to vary. */
function build(
  sees: boolean,
  shape: Shape,
  varies: (axis: number) => boolean,
  span: (index: readonly number[]) => Span,
): Places {
  const kept = shape.map((size, axis) => (varies(axis) ? size : 1));
  const count = sizeOf(kept);
  if (!affords(count)) return anywhere(sees, shape);
  const spans: Span[] = [];
  const index = kept.map(() => 0);
  for (let i = 0; i < count; i++) {
    spans.push(span(index));
    advance(index, kept);
  }
  return kept.reduce(withoutRepeats, { sees, shape, kept, spans });
}

/** Keeps one element of an axis along which all spans are the same. */
function withoutRepeats(places: Places, size: number, axis: number): Places {
  const { kept, spans } = places;
  if (size === 1) return places;
  const inner = sizeOf(kept.slice(axis + 1));
  const isFirst = (i: number) => Math.floor(i / inner) % size === 0;
  const first = (i: number) => i - (Math.floor(i / inner) % size) * inner;
  if (spans.some((span, i) => !isSame(span, spans[first(i)]!))) return places;
  return {
    ...places,
    kept: kept.map((n, i) => (i === axis ? 1 : n)),
    spans: spans.filter((_, i) => isFirst(i)),
  };
}

const everywhere = (places: Places): Span => places.spans.reduce(join, NOWHERE);

const uniform = (sees: boolean, shape: Shape, span: Span): MaybePlaces =>
  isNowhere(span) ? undefined : { sees, shape, kept: shape.map(() => 1), spans: [span] };

const anywhere = (sees: boolean, shape: Shape): Places => ({
  sees,
  shape,
  kept: shape.map(() => 1),
  spans: [WHOLE],
});

/** Equal spans of the whole picture along an axis of a shape. */
export const gridPlaces = (shape: Shape, along: number): Places =>
  build(
    false,
    shape,
    (axis) => axis === along,
    (index) => [index[along]! / shape[along]!, (index[along]! + 1) / shape[along]!],
  );

/** Places of a function of elements of values that broadcast to a shape; of any other function, all spans together. */
export function placesByElement(inputs: readonly MaybePlaces[], shape: Shape): MaybePlaces {
  const found = inputs.filter((places) => places !== undefined);
  const fits = ({ shape: from }: Places) =>
    from.length <= shape.length &&
    from.every((n, i) => n === 1 || n === shape[shape.length - from.length + i]);
  const { sees } = found[0]!;
  if (!found.every(fits)) return uniform(sees, shape, found.map(everywhere).reduce(join, NOWHERE));
  const wide = found.map((places) => broadcast(places, shape));
  // Where elements were left out, those that stay cover the rows and columns up to their new neighbours.
  const whole = wide.length > 1 && !sees ? wide.filter((places) => hasNoGaps(places)) : wide;
  return (whole.length > 0 ? whole : wide).reduce((a, b) => (a.spans === b.spans ? a : combine(a, b, meet)));
}

/** Whether the spans of a value fill all that they cover together. */
function hasNoGaps(places: Places): boolean {
  const distinct = new Map(places.spans.map((span) => [Math.round(span[0] / NEAR), span]));
  const filled = [...distinct.values()].reduce((sum, [from, to]) => sum + Math.max(0, to - from), 0);
  const [from, to] = everywhere(places);
  return filled > to - from - NEAR;
}

function combine(a: Places, b: Places, by: typeof meet): Places {
  return build(
    a.sees,
    a.shape,
    (axis) => a.kept[axis] !== 1 || b.kept[axis] !== 1,
    (index) => (a.sees ? join : by)(spanAt(a, index), spanAt(b, index)),
  );
}

/** Axes of size 1, and leading ones, repeated up to a shape. */
function broadcast({ sees, kept, spans }: Places, shape: Shape): Places {
  return { sees, shape, kept: [...Array<number>(shape.length - kept.length).fill(1), ...kept], spans };
}

/** Places of sums, means or maxima over some axes, which stay with size 1. */
export function reducedPlaces(places: MaybePlaces, axes: readonly number[]): MaybePlaces {
  if (places === undefined) return undefined;
  const shape = places.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  if (axes.every((axis) => places.kept[axis] === 1)) return { ...places, shape };
  if (!affords(places.spans.length)) return anywhere(places.sees, shape);
  const kept = places.kept.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const spans = Array<Span>(sizeOf(kept)).fill(NOWHERE);
  const index = kept.map(() => 0);
  for (const span of places.spans) {
    const at = offset(kept, index);
    spans[at] = join(spans[at]!, span);
    advance(index, places.kept);
  }
  return { sees: places.sees, shape, kept, spans };
}

/** Places of the same elements in another shape: axes whose sizes multiply to the same are taken together. */
export function reshapedPlaces(places: MaybePlaces, shape: Shape): MaybePlaces {
  if (places === undefined || sizeOf(shape) === 0) return undefined;
  const { shape: from, kept } = places;
  const groups: { from: readonly number[]; to: readonly number[]; varies: boolean }[] = [];
  for (let i = 0, j = 0; i < from.length || j < shape.length; ) {
    const [firstFrom, firstTo] = [i, j];
    let [a, b] = [from[i++] ?? 1, shape[j++] ?? 1];
    while (a !== b) {
      if (a < b) a *= from[i++]!;
      else b *= shape[j++]!;
    }
    const range = (start: number, end: number) => Array.from({ length: end - start }, (_, n) => start + n);
    const group = {
      from: range(firstFrom, Math.min(i, from.length)),
      to: range(firstTo, Math.min(j, shape.length)),
    };
    groups.push({ ...group, varies: group.from.some((axis) => kept[axis] !== 1) });
  }
  const source = from.map(() => 0);
  return build(
    places.sees,
    shape,
    (axis) => groups.some(({ to, varies }) => varies && to.includes(axis)),
    (index) => {
      for (const { from: axes, to, varies } of groups) {
        if (!varies) continue;
        let flat = to.reduce((at, axis) => at * shape[axis]! + index[axis]!, 0);
        for (const axis of [...axes].reverse()) {
          source[axis] = flat % from[axis]!;
          flat = Math.floor(flat / from[axis]!);
        }
      }
      return spanAt(places, source);
    },
  );
}

/** Places of elements that are moved along axes: output axis k takes from input axis `axis[k]` at `at[k](coordinate)`, if anywhere. */
export function movedPlaces(
  places: MaybePlaces,
  shape: Shape,
  moves: readonly { readonly axis: number; readonly at: (o: number) => number | undefined }[],
): MaybePlaces {
  if (places === undefined || sizeOf(shape) === 0) return undefined;
  if (!affords(total(shape))) return anywhere(places.sees, shape);
  const tables = moves.map(({ at }, k) => Array.from({ length: shape[k]! }, (_, o) => at(o)));
  const source = places.shape.map(() => 0);
  return build(
    places.sees,
    shape,
    (k) => places.kept[moves[k]!.axis] !== 1 || tables[k]!.includes(undefined),
    (index) => {
      for (const [k, { axis }] of moves.entries()) {
        const from = tables[k]![index[k]!];
        if (from === undefined) return NOWHERE;
        source[axis] = from;
      }
      return spanAt(places, source);
    },
  );
}

/** Places of values that are put one after the other along an axis. */
export function concatenatedPlaces(
  inputs: readonly MaybePlaces[],
  sizes: readonly number[],
  shape: Shape,
  axis: number,
): MaybePlaces {
  if (!affords(total(sizes)))
    return anywhere(
      inputs.some((places) => places?.sees),
      shape,
    );
  const owner = sizes.flatMap((size, input) => Array.from({ length: size }, (_, at) => ({ input, at })));
  const found = inputs.filter((places) => places !== undefined);
  const [first] = found;
  const isAlike = ({ kept, spans }: Places) =>
    kept[axis] === 1 &&
    spans.length === first!.spans.length &&
    spans.every((span, i) => isSame(span, first!.spans[i]!));
  if (first && found.length === inputs.length && found.every(isAlike)) return { ...first, shape };
  return build(
    first?.sees === true,
    shape,
    (k) => k === axis || found.some(({ kept }) => kept[k] !== 1),
    (index) => {
      const { input, at } = owner[index[axis]!]!;
      const places = inputs[input];
      return places ? spanAt(places, index.with(axis, at)) : NOWHERE;
    },
  );
}

/**
 * Of a matrix product [..., m, n] of factors [..., m, k] and [..., k, n]: where the rows lie. A row of no part of the
 * picture, a class token's, lies where all columns do together; where all rows lie in one place, products lie where the
 * columns do that are inside of it.
 */
export function productPlaces(
  a: MaybePlaces,
  b: MaybePlaces,
  shape: Shape,
  transposed: readonly [a: boolean, b: boolean],
): MaybePlaces {
  const rank = shape.length;
  const line = (places: MaybePlaces, axis: -1 | -2, turned: boolean): MaybePlaces => {
    if (places === undefined) return undefined;
    const last = places.shape.length;
    const reduced = reducedPlaces(places, [turned ? last - 3 - axis : last + axis])!;
    const swapped = turned
      ? movedPlaces(
          reduced,
          reduced.shape.map((n, i) => (i < last - 2 ? n : reduced.shape[2 * last - 3 - i]!)),
          reduced.shape.map((_, i) => ({ axis: i < last - 2 ? i : 2 * last - 3 - i, at: (o: number) => o })),
        )!
      : reduced;
    return broadcast(swapped, shape);
  };
  const [rows, columns] = [line(a, -1, transposed[0]), line(b, -2, transposed[1])];
  if (rank === 0 || rows === undefined || columns === undefined) return rows ?? columns;
  if (rows.spans.length === 1) return combine(rows, columns, meetLeft);
  const all = everywhere(columns);
  const spans = rows.spans.map((span) => (rows.sees || isNowhere(span) ? join(span, all) : span));
  return { ...rows, shape, spans };
}

/**
 * Of windows over the last two axes of [N, C, h, w]: a new grid over what theirs covers along the axis on which their spans
 * follow one another, or the same where that has as many elements as before. Channels are taken together.
 */
export function windowPlaces(places: MaybePlaces, shape: Shape): MaybePlaces {
  if (places === undefined) return undefined;
  const planes = withoutPadding(reducedPlaces(places, [1])!);
  const varying = [2, 3].filter((axis) => planes.kept[axis] !== 1);
  const [along = 2, ...others] = varying;
  if (varying.every((axis) => shape[axis] === planes.shape[axis])) return { ...planes, shape };
  const [images] = planes.kept as [number];
  const each = planes.spans.length / images;
  const covered = Array.from({ length: images }, (_, i) => planes.spans.slice(i * each, (i + 1) * each));
  const whole = covered.map((spans) => spans.reduce(join, NOWHERE));
  const isGrid = others.length === 0 && covered.every(follow);
  return build(
    places.sees,
    shape,
    (axis) => (axis === 0 ? images !== 1 : axis === along && isGrid),
    (index) => {
      const [from, to] = whole[index[0]!]!;
      if (!isGrid || from > to) return [from, to];
      const step = (to - from) / shape[along]!;
      return [from + index[along]! * step, from + (index[along]! + 1) * step];
    },
  );
}

/** One element of an axis of the plane along which all lie in one place, but for those of a padding, which lie nowhere. */
function withoutPadding(planes: Places): Places {
  return [2, 3].reduce((places, axis) => {
    if (places.kept[axis] === 1) return places;
    const joined = reducedPlaces(places, [axis])!;
    const inner = sizeOf(places.kept.slice(axis + 1));
    const together = (i: number) => Math.floor(i / (inner * places.kept[axis]!)) * inner + (i % inner);
    const isAlike = places.spans.every(
      (span, i) => isNowhere(span) || isSame(span, joined.spans[together(i)]!),
    );
    return isAlike ? { ...joined, shape: places.shape } : places;
  }, planes);
}

/** Whether spans come one after the other, as in the picture; what is of no part of it may stand among them. */
export function follow(spans: readonly Span[]): boolean {
  const real = spans.filter((span) => !isNowhere(span));
  return real.every(([from], i) => i === 0 || from >= real[i - 1]![0] - NEAR);
}

/** Whether a value sees all of the picture, taken together. */
export const seesWhole = (where: Whereabouts | undefined): boolean =>
  where !== undefined && [where.rows, where.columns].every((places) => isSame(everywhere(places), WHOLE));

/** The spans of both directions, element by element of the axes along which either varies. */
export function together({ rows, columns }: Whereabouts): {
  readonly kept: Shape;
  readonly spans: readonly (readonly [row: Span, column: Span])[];
} {
  const kept = rows.shape.map((_, axis) => Math.max(rows.kept[axis]!, columns.kept[axis]!));
  const index = kept.map(() => 0);
  const spans = Array.from({ length: sizeOf(kept) }, () => {
    const both = [spanAt(rows, index), spanAt(columns, index)] as const;
    advance(index, kept);
    return both;
  });
  return { kept, spans };
}
