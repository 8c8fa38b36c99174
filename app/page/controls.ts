// The controls: what can be chosen, what is, and what follows from a change.

import { methodOf } from '../../cam/index.ts';
import { catalogEntry } from '../../models/index.ts';
import { colourMaps } from '../image/colour.ts';
import { formatValue } from '../image/heat.ts';
import { button, choice, element, make, percent, refill, showOptions } from './dom.ts';
import { showDoubts } from './doubts.ts';
import { examples } from './examples.ts';
import { showGraph } from './graph/graph.ts';
import { type Choices, type Choose, defaults, fuses, methodNames, presetNames, shipped } from './state.ts';
import { takeFiles } from './visitor-files.ts';
import type { Subject } from './work/subject.ts';
import type { Predicted } from './work/tasks.ts';

/** Classes that are listed, and methods that are listed at first. */
const MOST_CLASSES = 10;
const FIRST_METHODS = 5;

/** Listens to every control. */
export function listen(current: () => Choices, choose: Choose): void {
  for (const [name, { title, url }] of examples) {
    const image = make('img', { src: url.href, alt: '' });
    const chosen = button(
      { 'aria-label': title, title, 'data-example': name },
      () => choose({ picture: name, classes: [] }),
      image,
    );
    element('examples').append(chosen);
  }
  showOptions(
    element<HTMLSelectElement>('colours'),
    colourMaps.map((name) => [name, name] as const),
    current().colours,
  );
  showOptions(
    element<HTMLSelectElement>('preset'),
    [['', 'as the file says'], ...presetNames.map((name) => [name, name] as const)],
    '',
  );
  const file = element<HTMLInputElement>('file');
  file.addEventListener('change', () => {
    void takeFiles([...(file.files ?? [])], choose);
    // So that the same file may be chosen again.
    file.value = '';
  });
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      document.body.classList.toggle('dropping', type === 'dragenter' || type === 'dragover');
    });
  }
  document.addEventListener('drop', ({ dataTransfer }) => void takeFiles(dataTransfer ?? [], choose));
  document.addEventListener('submit', (event) => event.preventDefault());
  const changes: Readonly<Record<string, (value: string, checked: boolean) => Partial<Choices>>> = {
    network: (network) => ({ network, layers: [], text: '', output: '', classes: [] }),
    text: (text) => ({ text, classes: [] }),
    output: (output) => ({ output, layers: [], classes: [] }),
    preset: (name) => ({ preset: presetNames.find((one) => one === name) ?? '', classes: [] }),
    layer: (layer) => ({ layers: [layer] }),
    fuse: (name) => ({ fuse: fuses.find((one) => one === name) ?? '' }),
    method: (name, checked) => ({ methods: toggled(current().methods, name, checked, defaults.methods) }),
    class: () => ({ classes: checkedClasses() }),
    of: (of) => ({ of: of === 'probability' ? 'probability' : 'logit' }),
    signed: (_, signed) => ({ signed }),
    difference: (difference) => ({ difference }),
    opacity: (value) => ({ opacity: Number(value) }),
    colours: (name) => ({ colours: colourMaps.find((map) => map === name)! }),
  };
  element('explain').addEventListener('change', ({ target }) => {
    if (!(target instanceof HTMLInputElement || target instanceof HTMLSelectElement)) return;
    const change = changes[target.name];
    if (change) choose(change(target.value, target instanceof HTMLInputElement && target.checked));
  });
}

/** A list with a value in or out, in the order chosen; the one that was left last stays if nothing else would. */
function toggled<T>(list: readonly T[], value: T, isIn: boolean, otherwise: readonly T[]): readonly T[] {
  const others = list.filter((one) => one !== value);
  const next = isIn ? [...others, value] : others;
  return next.length > 0 ? next : otherwise;
}

const checkedClasses = (): number[] =>
  [...document.querySelectorAll<HTMLInputElement>('#classes input:checked')].map(({ value }) =>
    Number(value),
  );

/** Shows what is chosen. */
export function showChoices(chosen: Choices, { network }: Subject): void {
  for (const one of element('examples').querySelectorAll('button'))
    one.ariaPressed = String(one.dataset.example === chosen.picture);
  element<HTMLSelectElement>('fuse').value = chosen.fuse;
  element('layers-say').textContent = chosen.fuse
    ? 'Click layers to add them to the map, and again to leave them out.'
    : 'Click a layer to explain there.';
  showText(chosen);
  const other =
    chosen.network === ''
      ? [['', network.files![0]!.name] as const]
      : [[chosen.network, chosen.network] as const];
  showOptions(
    element<HTMLSelectElement>('network'),
    [...new Map([...shipped.map((name) => [name, name] as const), ...other])],
    chosen.network,
  );
  element('own').hidden = chosen.network !== '';
  element<HTMLSelectElement>('preset').value = chosen.preset;
  element('summary').textContent = chosen.network === '' ? 'your file' : catalogEntry(chosen.network).summary;
  const boxes = methodNames.map((name) =>
    choice('checkbox', 'method', name, chosen.methods.includes(name), methodOf(name).title),
  );
  const more = make(
    'details',
    { id: 'more-methods' },
    make('summary', {}, `${methodNames.length - FIRST_METHODS} more`),
    ...boxes.slice(FIRST_METHODS),
  );
  const wasOpen = document.querySelector<HTMLDetailsElement>('#more-methods')?.open ?? false;
  more.open = wasOpen || chosen.methods.some((name) => methodNames.indexOf(name) >= FIRST_METHODS);
  refill(element('methods'), make('legend', {}, 'Methods'), ...boxes.slice(0, FIRST_METHODS), more);
  element<HTMLInputElement>('signed').checked = chosen.signed;
  element<HTMLInputElement>('opacity').value = String(chosen.opacity);
  element<HTMLSelectElement>('colours').value = chosen.colours;
  for (const one of document.querySelectorAll<HTMLInputElement>('input[name=of]'))
    one.checked = one.value === chosen.of;
}

/** Asks for the text that a network reads, if it does. */
function showText({ network, text }: Choices): void {
  const reader = network === '' ? undefined : catalogEntry(network).text;
  element('text-choice').hidden = reader === undefined;
  if (!reader) return;
  element('text-is').textContent = `It reads ${reader.is}`;
  element<HTMLInputElement>('text').value = text || reader.standard;
}

/** Asks which two of several maps are subtracted. */
export function showDifferences(
  maps: readonly { readonly name: string; readonly title: string }[],
  chosen: string,
): void {
  const pairs = maps.flatMap((a, i) =>
    maps.slice(i + 1).map((b) => [`${a.name},${b.name}`, `${a.title} − ${b.title}`] as const),
  );
  showOptions(element<HTMLSelectElement>('difference'), [['', 'of no two maps'], ...pairs], chosen);
}

/** Asks which output is meant, of several, or of one that is explained where it is asked for. */
export function showOutputs(outputs: readonly string[], chosen: string, asks = outputs.length > 1): void {
  element('output-choice').hidden = !asks;
  const asking = chosen === '' ? [['', 'the one with the classes'] as const] : [];
  showOptions(
    element<HTMLSelectElement>('output'),
    [...asking, ...outputs.map((name) => [name, name] as const)],
    chosen,
  );
}

/** Shows what a network predicts, and its layers, of which some are explained; `take` is told of one that is clicked. */
export function showPrediction(
  predicted: Predicted,
  layers: readonly string[],
  chosen: readonly number[],
  take: (layer: string) => void,
): void {
  const { classes, nodes, probabilities } = predicted;
  const listed = classes.filter(({ index }, place) => place < MOST_CLASSES || chosen.includes(index));
  refill(
    element('classes'),
    make('legend', {}, 'Classes'),
    ...listed.map(({ index, name, logit, probability }) => {
      const label = choice(
        'checkbox',
        'class',
        String(index),
        chosen.includes(index),
        make('span', {}, name),
        make('span', { class: 'number' }, probability === null ? formatValue(logit) : percent(probability)),
        make('meter', { value: String(probability ?? 0), 'aria-hidden': 'true' }),
      );
      return label;
    }),
  );
  const explained = nodes.filter((node) => node.explained);
  showOptions(
    element<HTMLSelectElement>('layer'),
    explained.map(({ name, shape }) => [name, `${name}: ${shape.slice(1).join(' × ')}`] as const),
    layers[0]!,
  );
  showGraph(nodes, layers, take);
  showDoubts(predicted);
  element('of').hidden = probabilities === 'none';
}
