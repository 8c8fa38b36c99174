// A method's formula as KaTeX, from its own terms. Each symbol is marked by what it is, so that it lights up with its panel.

import katex from 'katex';
import 'katex/dist/katex.min.css';
import { button, make } from '../dom.ts';
import type { TermValues } from '../work/tasks.ts';
import { showCode } from './code.ts';
import { paperOf } from './papers.ts';

type Named = Pick<TermValues, 'symbol' | 'tex' | 'equation' | 'is'>;

/** What stands left of the first sign that defines it, without its arguments. */
const leftSide = (tex: string) =>
  tex
    .split(/=|\\sim/)[0]!
    .replace(/\(x, y\)/, '')
    .trim();

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** TeX with every symbol marked. */
export function marked(tex: string, terms: readonly Named[]): string {
  const named = new Map([['A_k', 'A_k'], ...terms.map((term) => [leftSide(term.tex), term.symbol] as const)]);
  const longestFirst = [...named.keys()].sort((a, b) => b.length - a.length).map(escaped);
  const symbols = new RegExp(`(?<![A-Za-z\\\\])(?:${longestFirst.join('|')})(?![A-Za-z_])`, 'g');
  return tex.replace(symbols, (found) => `\\htmlData{symbol=${named.get(found)}}{${found}}`);
}

/** TeX as an element. */
export function rendered(tex: string, displayMode = false): HTMLElement {
  const place = make('span');
  katex.render(tex, place, {
    displayMode,
    throwOnError: false,
    strict: false,
    // Marks alone; the TeX is the methods' own.
    trust: ({ command }) => command === '\\htmlData',
  });
  return place;
}

/** The definitions of a method's symbols, each with its equation, its words and its code. */
export function formula(method: { name: string; paper: string }, terms: readonly Named[]): HTMLElement {
  const source = paperOf(method.paper);
  const rows = terms.map((term) => {
    const { symbol, tex, equation, is } = term;
    const words = [
      make('span', {}, is),
      make(
        'span',
        { class: 'sources' },
        source ? make('a', { href: source, target: '_blank', rel: 'noreferrer' }, equation) : equation,
        ' · ',
        button({ class: 'link' }, () => void showCode(method.name, symbol), 'the code'),
      ),
    ];
    return make(
      'div',
      { class: 'definition', 'data-symbol': symbol },
      rendered(marked(tex, terms), true),
      make('p', {}, ...words),
    );
  });
  return make('div', { class: 'formula' }, ...rows);
}

/** Lights up whatever has the symbol under the pointer or the keyboard, in formula and panels alike. */
export function lightUp(section: HTMLElement): void {
  const light = ({ target }: Event) => {
    const symbol =
      target instanceof Element ? target.closest<HTMLElement>('[data-symbol]')?.dataset.symbol : undefined;
    for (const one of section.querySelectorAll<HTMLElement>('[data-symbol]'))
      one.classList.toggle('lit', symbol !== undefined && one.dataset.symbol === symbol);
  };
  for (const kind of ['pointerover', 'focusin', 'pointerleave']) section.addEventListener(kind, light);
}
