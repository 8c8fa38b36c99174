// Elements of the page.

type Attributes = Readonly<Record<string, string | boolean | undefined>>;

/** The element of the page with an id. */
export const element = <T extends HTMLElement = HTMLElement>(id: string): T =>
  document.getElementById(id) as T;

/** An element with attributes and children; attributes that are false or undefined are left out. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/** An element of a drawing with attributes. */
export function svg(tag: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** A button that does something. */
export function button(
  attributes: Attributes,
  act: () => void,
  ...children: (Node | string)[]
): HTMLButtonElement {
  const made = make('button', { type: 'button', ...attributes }, ...children);
  made.addEventListener('click', act);
  return made;
}

/** A radio button or checkbox with its label. */
export function choice(
  type: 'radio' | 'checkbox',
  name: string,
  value: string,
  checked: boolean,
  ...content: (Node | string)[]
): HTMLLabelElement {
  return make('label', { class: 'choice' }, make('input', { type, name, value, checked }), ...content);
}

/** Fills a select. */
export function showOptions(
  select: HTMLSelectElement,
  options: readonly (readonly [value: string, label: string])[],
  chosen: string,
): void {
  select.replaceChildren(
    ...options.map(([value, label]) => new Option(label, value, false, value === chosen)),
  );
}

/** Replaces the children of an element, and leaves the keyboard on the control that it was on. */
export function refill(parent: HTMLElement, ...children: (Node | string)[]): void {
  const held = parent.contains(document.activeElement) ? (document.activeElement as HTMLElement) : undefined;
  parent.replaceChildren(...children);
  if (!held) return;
  const { name, value } = held as HTMLInputElement;
  const again = [...parent.querySelectorAll<HTMLInputElement>('input, button, select')].find(
    (one) => (name && one.name === name && one.value === value) || (held.id && one.id === held.id),
  );
  again?.focus({ preventScroll: true });
}

export const percent = (probability: number): string => `${(100 * probability).toFixed(1)} %`;
