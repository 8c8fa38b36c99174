// ONNX's Einsum: sums of products by Einstein's convention, as matrix products.

import type { Tensor } from '../../../engine/index.ts';
import * as ops from '../../../engine/index.ts';
import { FormatError } from '../errors.ts';
import type { Builder } from './call.ts';

/** A tensor whose axes have letters, each once. */
interface Lettered {
  readonly letters: string;
  readonly tensor: Tensor;
}

const without = (letters: string, others: string): string =>
  [...letters].filter((letter) => !others.includes(letter)).join('');

/** The same numbers with the axes in another order. */
const ordered = ({ letters, tensor }: Lettered, order: string): Tensor =>
  order === letters
    ? tensor
    : ops.transpose(
        tensor,
        [...order].map((letter) => letters.indexOf(letter)),
      );

/** The sum over the letters that are not kept. */
function summed(x: Lettered, kept: string): Lettered {
  const gone = without(x.letters, kept);
  if (gone === '') return x;
  const axes = [...gone].map((letter) => x.letters.indexOf(letter));
  return { letters: without(x.letters, gone), tensor: ops.sum(x.tensor, axes) };
}

/** The product of two, summed over the letters that both have and that are not kept: a batch of matrix products. */
function contracted(left: Lettered, right: Lettered, kept: string): Lettered {
  const a = summed(left, kept + right.letters);
  const b = summed(right, kept + left.letters);
  const shared = [...a.letters].filter((letter) => b.letters.includes(letter)).join('');
  const batch = [...shared].filter((letter) => kept.includes(letter)).join('');
  const inner = without(shared, batch);
  const [rows, columns] = [without(a.letters, shared), without(b.letters, shared)];
  const size = (x: Lettered, letters: string) =>
    [...letters].map((letter) => x.tensor.shape[x.letters.indexOf(letter)]!);
  const count = (x: Lettered, letters: string) => ops.sizeOf(size(x, letters));
  const first = ops.reshape(ordered(a, batch + rows + inner), [
    count(a, batch),
    count(a, rows),
    count(a, inner),
  ]);
  const second = ops.reshape(ordered(b, batch + inner + columns), [
    count(b, batch),
    count(b, inner),
    count(b, columns),
  ]);
  const product = ops.matmul(first, second);
  const shape = [...size(a, batch), ...size(a, rows), ...size(b, columns)];
  return { letters: batch + rows + columns, tensor: ops.reshape(product, shape) };
}

const isTerm = (term: string) => /^[A-Za-z]*$/.test(term) && new Set(term).size === term.length;

/** Every term with letters of its own, each once; no ellipses, no diagonals. */
export const einsum: Builder = (call) => {
  const equation = call.text('equation', '').replaceAll(' ', '');
  const [left = '', right] = equation.split('->') as [string?, string?];
  const terms = left.split(',');
  const letters = [...new Set(terms.join(''))].sort();
  // Where the file names no result, it has the letters that occur once, in alphabetical order.
  const once = letters.filter((letter) => terms.join('').split(letter).length === 2).join('');
  const result = right ?? once;
  const fits = terms.every((term, i) => isTerm(term) && call.inputs[i]?.shape.length === term.length);
  if (!fits || terms.length !== call.inputs.length || !isTerm(result) || without(result, letters.join(''))) {
    throw new FormatError(`the equation "${equation}" is not supported for ${call.inputs.length} inputs`);
  }
  return call.apply({
    kind: 'einsum',
    operands: Object.fromEntries(terms.map((_, i) => [String(i), call.input(i)])),
    device: (...tensors) => {
      const [first, ...others] = tensors.map((tensor, i) => ({ letters: terms[i]!, tensor }));
      const product = others.reduce((x, y, i) => {
        const later = others.slice(i + 1).map((one) => one.letters);
        return contracted(x, y, [result, ...later].join(''));
      }, first!);
      const whole = ordered(summed(product, result), result);
      return whole === tensors[0] ? ops.reshape(whole, whole.shape) : whole;
    },
    attributes: { equation: `${terms.join()}->${result}` },
  });
};
