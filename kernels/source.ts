// From a WGSL file to the WGSL of one variant. The files are valid WGSL as they stand; three conventions let one
// file serve many shapes and functions, and keep its loops readable:
//   const TILE = 4u;                                   a variant may give another value
//   fn f(v: vec4f) -> vec4f { return v; }              a variant may give another expression
//   for (var i = 0u; i < TILE; i++) { // unroll        written out, so that arrays indexed by i stay in registers
// And one reads inputs that are stored in half precision; see `withHalves`.
// Drivers do not unroll such loops themselves: Mesa's llvmpipe runs the convolution 15 times slower without this.

import type { Constants } from './kernel.ts';

const CONSTANT = /^const (\w+) = (\d+)u;/gm;
const EXPRESSION = /^(fn (\w+)\(.*\) -> .* \{ return )(.*)(; \})$/gm;
const UNROLL = /for \(var (\w+) = 0u; \1 < (\w+); \1\+\+\) \{ \/\/ unroll\n/;

/** The WGSL of a variant: constants and expressions replaced, then marked loops written out. */
export function specialise(wgsl: string, constants: Constants): string {
  const filled = withConstants(wgsl, constants);
  const values = [...filled.matchAll(CONSTANT)].map(([, name, value]) => [name!, Number(value)] as const);
  return unroll(filled, new Map(values));
}

/** The WGSL of a variant, line for line: its loops stand as they are. */
export function withConstants(wgsl: string, constants: Constants): string {
  const unknown = new Set(Object.keys(constants));
  const replaced = wgsl
    .replace(CONSTANT, (_line, name: string, value: string) => {
      unknown.delete(name);
      return `const ${name} = ${constants[name] ?? value}u;`;
    })
    .replace(EXPRESSION, (_line, head, name, expression, end) => {
      unknown.delete(name);
      return `${head}${constants[name] ?? expression}${end}`;
    });
  if (unknown.size > 0)
    throw new RangeError(`no such constant or expression in the kernel: ${[...unknown].join(', ')}`);
  return replaced;
}

function unroll(wgsl: string, values: ReadonlyMap<string, number>): string {
  const loop = UNROLL.exec(wgsl);
  if (loop === null) return wgsl;
  const [head, variable, bound] = loop as unknown as [string, string, string];
  const count = values.get(bound) ?? Number.parseInt(bound, 10);
  if (!Number.isInteger(count))
    throw new RangeError(`unrolled loop over ${variable}: ${bound} is no constant`);
  const start = loop.index + head.length;
  const end = closing(wgsl, start, '{}');
  const name = new RegExp(`\\b${variable}\\b`, 'g');
  const body = wgsl.slice(start, end);
  const copies = Array.from({ length: count }, (_, i) => `{\n${body.replace(name, `${i}u`)}}\n`);
  return unroll(wgsl.slice(0, loop.index) + copies.join('') + wgsl.slice(end + 1), values);
}

/** Index of the bracket of a pair, such as {}, that closes what begins at `start`. */
function closing(wgsl: string, start: number, [open, close]: string): number {
  let depth = 1;
  for (let i = start; i < wgsl.length; i++) {
    if (wgsl[i] === open) depth++;
    else if (wgsl[i] === close && --depth === 0) return i;
  }
  throw new RangeError(`a ${open} without a closing ${close}`);
}

/** An element of a declared type made of halves, two of which lie in a u32: how they are declared, and one is read. */
const halves: Readonly<Record<string, readonly [declared: string, read: (name: string) => string]>> = {
  f32: ['u32', (name) => `unpack2x16float(${name}[i >> 1u])[i & 1u]`],
  vec4f: ['vec2u', (name) => `vec4f(unpack2x16float(${name}[i].x), unpack2x16float(${name}[i].y))`],
};
/** Kernels that copy numbers declare their bits. */
const copied: Readonly<Record<string, string>> = { u32: 'f32', vec4u: 'vec4f' };

/**
 * The WGSL of a kernel that is to read some of its inputs, by their bindings, in half precision: what reads an element of
 * one calls a function instead, which gives it as it is declared. WGSL's optional type f16 is not needed for that.
 */
export function withHalves(wgsl: string, bindings: readonly number[]): string {
  return bindings.reduce((text, binding) => {
    const declaration = new RegExp(`(@binding\\(${binding}\\) var<storage, read> )(\\w+): array<(\\w+)>;`);
    const [whole, start, name, alias] = declaration.exec(text) as unknown as [string, string, string, string];
    const type = new RegExp(`^alias ${alias} = (\\w+);`, 'm').exec(text)?.[1] ?? alias;
    const [declared, read] = halves[copied[type] ?? type]!;
    const value = type in copied ? `bitcast<${type}>(${read(`${name}Halves`)})` : read(`${name}Halves`);
    const declarations =
      `${start}${name}Halves: array<${declared}>;\n` +
      `fn ${name}Element(i: u32) -> ${type} { return ${value}; }`;
    const [before, after] = text.split(whole) as [string, string];
    return `${before}${declarations}${readsOf(after, name)}`;
  }, wgsl);
}

/** The text with each `name[index]` as a call. */
function readsOf(wgsl: string, name: string): string {
  const found = new RegExp(`(?<![.\\w])${name}\\[`).exec(wgsl);
  if (found === null) return wgsl;
  const start = found.index + name.length + 1;
  const end = closing(wgsl, start, '[]');
  const index = readsOf(wgsl.slice(start, end), name);
  return `${wgsl.slice(0, found.index)}${name}Element(u32(${index}))${readsOf(wgsl.slice(end + 1), name)}`;
}

/** How each storage binding of a kernel is used, in binding order after the uniform. */
export function bindings(wgsl: string): ('read' | 'read_write')[] {
  const found = [...wgsl.matchAll(/@binding\((\d+)\) var<storage, (read|read_write)>/g)];
  return found.sort((a, b) => Number(a[1]) - Number(b[1])).map((match) => match[2] as 'read' | 'read_write');
}

/** A field of a kernel's uniform struct. */
export interface Field {
  readonly name: string;
  readonly type: 'u32' | 'i32' | 'f32';
  /** In 32-bit words from the struct's beginning. */
  readonly offset: number;
  /** Words: 1, or as many as an array of vectors has. */
  readonly length: number;
}

/** The fields of the struct `Params`, by WGSL's rules of layout: scalars, and arrays of vec4. */
export function fieldsOf(wgsl: string): readonly Field[] {
  const struct = /struct Params \{([^}]*)\}/.exec(wgsl.replace(/\/\/.*/g, ''));
  if (struct === null) throw new RangeError('the kernel has no struct Params');
  const fields: Field[] = [];
  let end = 0;
  for (const field of struct[1]!.matchAll(/(\w+): (\w+(?:<[^>]*>)?)/g)) {
    const [, name, declared] = field as unknown as [string, string, string];
    const [, scalar, letter, count] = /^(u32|i32|f32)$|^array<vec4([uif]), (\d+)>$/.exec(declared) ?? [];
    const type = (scalar ?? `${letter}32`) as Field['type'];
    if (scalar === undefined && letter === undefined) {
      throw new RangeError(
        `Params.${name}: a ${declared} has no layout here; use u32, i32, f32 or an array of vec4`,
      );
    }
    const [offset, length] = scalar ? [end, 1] : [Math.ceil(end / 4) * 4, 4 * Number(count)];
    fields.push({ name, type, offset, length });
    end = offset + length;
  }
  return fields;
}
