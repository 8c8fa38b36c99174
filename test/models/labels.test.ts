import test from 'tape';
import { classNames, LabelsError, labelsIn } from '../../models/labels.ts';

const names = ['tench, Tinca tinca', "potter's wheel", 'say "ah"', '7 up'];
const each = (make: (name: string, i: number) => string, between: string) => names.map(make).join(between);

/** What tools write of the four names, by what writes it. */
const forms: Readonly<Record<string, string>> = {
  lines: each((name) => name, '\n'),
  'lines of Windows, with a byte-order mark': `\ufeff${each((name) => name, '\r\n')}\r\n`,
  'Teachable Machine labels.txt': each((name, i) => `${i} ${name}`, '\n'),
  'lines of any order': ['1: b', '0: a'].join('\n'),
  'synset words': each((name, i) => `n0144076${i} ${name}`, '\n'),
  array: JSON.stringify(names),
  'Teachable Machine metadata.json': JSON.stringify({ tfjsVersion: '1.3.1', labels: names, imageSize: 224 }),
  'index to name': JSON.stringify(Object.fromEntries(names.entries())),
  'name to index': JSON.stringify(Object.fromEntries(names.map((name, i) => [name, i]))),
  'imagenet_class_index.json': JSON.stringify(
    Object.fromEntries(names.map((name, i) => [i, [`n0144076${i}`, name]])),
  ),
  'config.json': JSON.stringify({
    model_type: 'vit',
    id2label: Object.fromEntries(names.entries()),
    label2id: {},
  }),
  'Python dict': `{${each((name, i) => `${i}: '${name.replace(/'/g, "\\'")}'`, ',\n ')},}`,
  'Python dict as repr writes it': `{0: 'tench, Tinca tinca', 1: "potter's wheel", 2: 'say "ah"', 3: '7 up'}`,
  'Python list': `['tench, Tinca tinca', "potter's wheel", 'say "ah"', '7 up']`,
};

test('class names as tools write them', (t) => {
  for (const [title, text] of Object.entries(forms)) {
    t.deepEqual(labelsIn(text), title === 'lines of any order' ? ['a', 'b'] : names, title);
  }
  t.deepEqual(labelsIn('0\n1\n2'), ['0', '1', '2'], 'numbers alone are names');
  t.deepEqual(labelsIn('1 a\n2 b'), ['1 a', '2 b'], 'numbers that are no indices belong to the names');
  t.deepEqual(labelsIn('0 a\n0 b'), ['0 a', '0 b']);
  t.end();
});

test('texts without class names', (t) => {
  for (const text of [
    '',
    '{}',
    '[]',
    '["a"',
    '[1, 2]',
    '{"0": "a", "2": "b"}',
    '{"a": 0, "b": 0}',
    '{"a": 0, "b": 1.5}',
    '{"architecture": "resnet18", "num_classes": 10}',
    '{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}',
    '{"4294967296": "a"}',
  ]) {
    t.equal(labelsIn(text), undefined, text);
  }
  t.end();
});

test('as many names as classes', (t) => {
  t.deepEqual(classNames('cat\ndog', 2, 'labels.txt'), ['cat', 'dog']);
  t.deepEqual(classNames('cat\ndog', 1, 'labels.txt'), ['dog'], 'one output is the second class');
  for (const [text, count, message] of [
    ['cat\ndog', 3, /labels\.txt: expected 3 class names; it has 2$/],
    ['{}', 3, /labels\.txt: expected 3 class names, as one a line, /],
  ] as const) {
    t.throws(() => classNames(text, count, 'labels.txt'), message);
    t.throws(() => classNames(text, count, 'labels.txt'), LabelsError);
  }
  t.end();
});

test('large and hostile texts take no time worth naming', (t) => {
  const many = Array.from({ length: 20_000 }, (_, i) => `class ${i}`);
  t.deepEqual(labelsIn(`{${many.map((name, i) => `${i}: '${name}'`)}}`), many);
  for (const part of ["'", '"', '\\', '1', ',', ' ', '{', "'\\"]) {
    t.equal(labelsIn(`{${part.repeat(200_000)}`), undefined, JSON.stringify(part));
  }
  t.end();
});
