// Where in the picture each element of a value lies. A dry run carries this along: operations that move elements move
// their places, windows lay a new grid over the part of the picture that they cover, sums lie where all of their terms lie
// together. What a value's relation to the picture is, in whatever layout, is then known rather than guessed.

import { type Shape, sizeOf } from './tensor.ts';

/** A part of the picture, its borders as shares of the height and width, 0 to 1. */
export type Part = readonly [top: number, left: number, bottom: number, right: number];

/** Of what does not come from the picture; joined with another part it gives that part. */
export const NOWHERE: Part = [Infinity, Infinity, -Infinity, -Infinity];

/** The part of every element of a value. */
export interface Places {
  /** Whether a part is all that an element sees of the picture; if not, where it lies, whatever more it sees. */
  readonly sees: boolean;
  /** The value's shape. */
  readonly shape: Shape;
  /** The same, with 1 for axes along which parts do not change: the shape of `parts`. */
  readonly kept: Shape;
  readonly parts: readonly Part[];
}

/** Of one value, which may not come from the picture at all. */
export type MaybePlaces = Places | undefined;

/** Parts made of others differ in their last digits. */
const NEAR = 1e-6;

export const isNowhere = ([top, , bottom]: Part): boolean => top > bottom;

const isInside = (a: Part, b: Part): boolean =>
  a[0] >= b[0] - NEAR && a[1] >= b[1] - NEAR && a[2] <= b[2] + NEAR && a[3] <= b[3] + NEAR;

export const isSame = (a: Part, b: Part): boolean =>
  isNowhere(a) ? isNowhere(b) : isInside(a, b) && isInside(b, a);

const join = (a: Part, b: Part): Part => [
  Math.min(a[0], b[0]),
  Math.min(a[1], b[1]),
  Math.max(a[2], b[2]),
  Math.max(a[3], b[3]),
];

/**
 * Where a function of two elements lies. A number that comes from a larger part (a gate, a mean, what attention added) does
 * not move an element away from its own; two elements that lie apart give one that lies in both places.
 */
const meet = (a: Part, b: Part): Part =>
  isNowhere(a) || isInside(b, a) ? b : isNowhere(b) || isInside(a, b) ? a : join(a, b);

/** The same for a sum of products: queries times keys lie where the queries do. */
const meetLeft = (a: Part, b: Part): Part => (isNowhere(a) || isInside(b, a) ? b : a);

/** The place of an index in `parts`. */
function offset(kept: Shape, index: readonly number[]): number {
  let at = 0;
  for (const [axis, size] of kept.entries()) at = at * size + (size === 1 ? 0 : index[axis]!);
  return at;
}

const partAt = ({ kept, parts }: Places, index: readonly number[]): Part => parts[offset(kept, index)]!;

/** Places from a function of the index, which is 0 along axes that are said not to vary. */
function build(
  sees: boolean,
  shape: Shape,
  varies: (axis: number) => boolean,
  part: (index: readonly number[]) => Part,
): Places {
  const kept = shape.map((size, axis) => (varies(axis) ? size : 1));
  const parts: Part[] = [];
  const index = kept.map(() => 0);
  for (let i = 0, count = sizeOf(kept); i < count; i++) {
    parts.push(part(index));
    for (let axis = kept.length - 1; axis >= 0 && ++index[axis]! === kept[axis]; axis--) index[axis] = 0;
  }
  return kept.reduce(withoutRepeats, { sees, shape, kept, parts });
}

/** Keeps one element of an axis along which all parts are the same. */
function withoutRepeats(places: Places, size: number, axis: number): Places {
  const { kept, parts } = places;
  if (size === 1) return places;
  const inner = sizeOf(kept.slice(axis + 1));
  const isFirst = (i: number) => Math.floor(i / inner) % size === 0;
  const first = (i: number) => i - (Math.floor(i / inner) % size) * inner;
  if (parts.some((part, i) => !isSame(part, parts[first(i)]!))) return places;
  return {
    ...places,
    kept: kept.map((n, i) => (i === axis ? 1 : n)),
    parts: parts.filter((_, i) => isFirst(i)),
  };
}

const everywhere = (places: Places): Part => places.parts.reduce(join, NOWHERE);

const uniform = (sees: boolean, shape: Shape, part: Part): MaybePlaces =>
  isNowhere(part) ? undefined : { sees, shape, kept: shape.map(() => 1), parts: [part] };

/** A grid over the whole picture in two axes of a shape, as a picture [N, C, H, W] has one in axes 2 and 3. */
export function gridPlaces(shape: Shape, [y, x]: readonly [number, number]): Places {
  const [rows, columns] = [shape[y]!, shape[x]!];
  return build(
    false,
    shape,
    (axis) => axis === y || axis === x,
    (index) => [index[y]! / rows, index[x]! / columns, (index[y]! + 1) / rows, (index[x]! + 1) / columns],
  );
}

/** Of functions of elements of values that broadcast to a shape; of any other function, all parts together. */
export function placesByElement(inputs: readonly MaybePlaces[], shape: Shape): MaybePlaces {
  const found = inputs.filter((places) => places !== undefined);
  const fits = ({ shape: from }: Places) =>
    from.length <= shape.length &&
    from.every((n, i) => n === 1 || n === shape[shape.length - from.length + i]);
  const { sees } = found[0]!;
  if (!found.every(fits)) return uniform(sees, shape, found.map(everywhere).reduce(join, NOWHERE));
  const wide = found.map((places) => broadcast(places, shape));
  // What was thinned out lies where the rows and columns lie beside which it now stands.
  const whole = wide.length > 1 && !sees ? wide.filter((places) => hasNoGaps(places)) : wide;
  return (whole.length > 0 ? whole : wide).reduce((a, b) => (a.parts === b.parts ? a : combine(a, b, meet)));
}

const area = ([top, left, bottom, right]: Part): number =>
  Math.max(0, bottom - top) * Math.max(0, right - left);

/** Whether the parts of a value fill all that they cover together. */
function hasNoGaps(places: Places): boolean {
  const distinct = new Map(
    places.parts.map((part) => [`${Math.round(part[0] / NEAR)} ${Math.round(part[1] / NEAR)}`, part]),
  );
  const filled = [...distinct.values()].reduce((sum, part) => sum + area(part), 0);
  return filled > area(everywhere(places)) - NEAR;
}

function combine(a: Places, b: Places, by: typeof meet): Places {
  return build(
    a.sees,
    a.shape,
    (axis) => a.kept[axis] !== 1 || b.kept[axis] !== 1,
    (index) => (a.sees ? join : by)(partAt(a, index), partAt(b, index)),
  );
}

/** Axes of size 1, and leading ones, repeated up to a shape. */
function broadcast({ sees, kept, parts }: Places, shape: Shape): Places {
  return { sees, shape, kept: [...Array<number>(shape.length - kept.length).fill(1), ...kept], parts };
}

/** Of sums, means or maxima over some axes, which stay with size 1. */
export function foldedPlaces(places: MaybePlaces, axes: readonly number[]): MaybePlaces {
  if (places === undefined) return undefined;
  const shape = places.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  if (axes.every((axis) => places.kept[axis] === 1)) return { ...places, shape };
  const kept = places.kept.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const parts = Array<Part>(sizeOf(kept)).fill(NOWHERE);
  const index = kept.map(() => 0);
  for (const part of places.parts) {
    const at = offset(kept, index);
    parts[at] = join(parts[at]!, part);
    for (let axis = index.length - 1; axis >= 0 && ++index[axis]! === places.kept[axis]; axis--)
      index[axis] = 0;
  }
  return { sees: places.sees, shape, kept, parts };
}

/** Of the same elements in another shape: axes whose sizes multiply to the same are taken together. */
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
    const own = {
      from: range(firstFrom, Math.min(i, from.length)),
      to: range(firstTo, Math.min(j, shape.length)),
    };
    groups.push({ ...own, varies: own.from.some((axis) => kept[axis] !== 1) });
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
      return partAt(places, source);
    },
  );
}

/** Of elements that are moved along axes: output axis k takes from input axis `axis[k]` at `at[k](coordinate)`, if anywhere. */
export function movedPlaces(
  places: MaybePlaces,
  shape: Shape,
  moves: readonly { readonly axis: number; readonly at: (o: number) => number | undefined }[],
): MaybePlaces {
  if (places === undefined || sizeOf(shape) === 0) return undefined;
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
      return partAt(places, source);
    },
  );
}

/** Of values one after the other along an axis. */
export function concatenatedPlaces(
  inputs: readonly MaybePlaces[],
  sizes: readonly number[],
  shape: Shape,
  axis: number,
): MaybePlaces {
  const owner = sizes.flatMap((size, input) => Array.from({ length: size }, (_, at) => ({ input, at })));
  const found = inputs.filter((places) => places !== undefined);
  const [first] = found;
  const isAlike = ({ kept, parts }: Places) =>
    kept[axis] === 1 &&
    parts.length === first!.parts.length &&
    parts.every((part, i) => isSame(part, first!.parts[i]!));
  if (first && found.length === inputs.length && found.every(isAlike)) return { ...first, shape };
  return build(
    first?.sees === true,
    shape,
    (k) => k === axis || found.some(({ kept }) => kept[k] !== 1),
    (index) => {
      const { input, at } = owner[index[axis]!]!;
      const places = inputs[input];
      return places ? partAt(places, index.with(axis, at)) : NOWHERE;
    },
  );
}

/** Of a matrix product [..., m, n] of factors [..., m, k] and [..., k, n]. */
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
    const folded = foldedPlaces(places, [turned ? last - 3 - axis : last + axis])!;
    const swapped = turned
      ? movedPlaces(
          folded,
          folded.shape.map((n, i) => (i < last - 2 ? n : folded.shape[2 * last - 3 - i]!)),
          folded.shape.map((_, i) => ({ axis: i < last - 2 ? i : 2 * last - 3 - i, at: (o: number) => o })),
        )!
      : folded;
    return broadcast(swapped, shape);
  };
  const [rows, columns] = [line(a, -1, transposed[0]), line(b, -2, transposed[1])];
  if (rank === 0 || rows === undefined || columns === undefined) return rows ?? columns;
  return combine(rows, columns, meetLeft);
}

/**
 * Of windows over the last two axes of [N, C, h, w]: a new grid over the part of the picture that theirs covers, or the same
 * where there are as many as before. Channels are taken together.
 */
export function windowPlaces(places: MaybePlaces, shape: Shape): MaybePlaces {
  if (places === undefined) return undefined;
  const planes = foldedPlaces(places, [1])!;
  const [, , height, width] = planes.shape as [number, number, number, number];
  const [, , rows, columns] = shape as [number, number, number, number];
  if (rows === height && columns === width) return { ...planes, shape };
  const [images, , h, w] = planes.kept as [number, number, number, number];
  const covered = Array.from({ length: images }, (_, image) =>
    extent(planes.parts.slice(image * h * w, (image + 1) * h * w), w),
  );
  return build(
    places.sees,
    shape,
    (axis) => (axis === 0 ? images !== 1 : axis !== 1 && h * w > 1),
    ([image, , y, x]) => {
      const { part, isGrid } = covered[image!]!;
      if (!isGrid || isNowhere(part)) return part;
      const [top, left, bottom, right] = part;
      const [dy, dx] = [(bottom - top) / rows, (right - left) / columns];
      return [top + y! * dy, left + x! * dx, top + (y! + 1) * dy, left + (x! + 1) * dx];
    },
  );
}

/** All that some rows of parts cover, and whether they follow one another as in the picture. */
function extent(parts: readonly Part[], width: number): { part: Part; isGrid: boolean } {
  const rows = Array<Part>(parts.length / width).fill(NOWHERE);
  const columns = Array<Part>(width).fill(NOWHERE);
  for (const [i, part] of parts.entries()) {
    const [y, x] = [Math.floor(i / width), i % width];
    rows[y] = join(rows[y]!, part);
    columns[x] = join(columns[x]!, part);
  }
  const follows = (lines: readonly Part[], side: 0 | 1) => {
    const real = lines.filter((part) => !isNowhere(part));
    return real.every((part, i) => i === 0 || part[side] >= real[i - 1]![side] - NEAR);
  };
  return { part: rows.reduce(join, NOWHERE), isGrid: follows(rows, 0) && follows(columns, 1) };
}

/** Everything that a value sees of the picture. */
export const coverage = (places: MaybePlaces): Part => (places ? everywhere(places) : NOWHERE);
