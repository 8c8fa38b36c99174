// From a WGSL file to the WGSL of one variant. The files are valid WGSL as they stand; three conventions let one
// file serve many shapes and functions, and keep its loops readable:
//   const TILE = 4u;                                   a variant may give another value
//   fn f(v: vec4f) -> vec4f { return v; }              a variant may give another expression
//   for (var i = 0u; i < TILE; i++) { // unroll        written out, so that arrays indexed by i stay in registers
// Drivers do not unroll such loops themselves: Mesa's llvmpipe runs the convolution 15 times slower without this.

import type { Constants } from './kernel.ts';

const CONSTANT = /^const (\w+) = (\d+)u;/gm;
const EXPRESSION = /^(fn (\w+)\(.*\) -> .* \{ return )(.*)(; \})$/gm;
const UNROLL = /for \(var (\w+) = 0u; \1 < (\w+); \1\+\+\) \{ \/\/ unroll\n/;

/** The WGSL of a variant: constants and expressions replaced, then marked loops written out. */
export function specialise(wgsl: string, constants: Constants): string {
  const unknown = new Set(Object.keys(constants));
  const values = new Map<string, number>();
  const replaced = wgsl.replace(CONSTANT, (_line, name: string, value: string) => {
    unknown.delete(name);
    values.set(name, Number(constants[name] ?? value));
    return `const ${name} = ${values.get(name)}u;`;
  });
  const expressed = replaced.replace(EXPRESSION, (_line, head, name, expression, end) => {
    unknown.delete(name);
    return `${head}${constants[name] ?? expression}${end}`;
  });
  if (unknown.size > 0)
    throw new RangeError(`no such constant or expression in the kernel: ${[...unknown].join(', ')}`);
  return unroll(expressed, values);
}

function unroll(wgsl: string, values: ReadonlyMap<string, number>): string {
  const loop = UNROLL.exec(wgsl);
  if (loop === null) return wgsl;
  const [head, variable, bound] = loop as unknown as [string, string, string];
  const count = values.get(bound) ?? Number.parseInt(bound, 10);
  if (!Number.isInteger(count))
    throw new RangeError(`unrolled loop over ${variable}: ${bound} is no constant`);
  const start = loop.index + head.length;
  const end = closingBrace(wgsl, start);
  const name = new RegExp(`\\b${variable}\\b`, 'g');
  const body = wgsl.slice(start, end);
  const copies = Array.from({ length: count }, (_, i) => `{\n${body.replace(name, `${i}u`)}}\n`);
  return unroll(wgsl.slice(0, loop.index) + copies.join('') + wgsl.slice(end + 1), values);
}

/** Index of the brace that closes the block whose inside begins at `start`. */
function closingBrace(wgsl: string, start: number): number {
  let depth = 1;
  for (let i = start; i < wgsl.length; i++) {
    if (wgsl[i] === '{') depth++;
    else if (wgsl[i] === '}' && --depth === 0) return i;
  }
  throw new RangeError('unrolled loop without a closing brace');
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
