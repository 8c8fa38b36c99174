// What users are given: every export of the entry points is meant (named one by one) and says what it is.

import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'tape';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The entry points of `package.json`. */
const entries = [
  'index.ts',
  'engine/index.ts',
  'models/index.ts',
  'models/hub/index.node.ts',
  'app/pictures.node.ts',
];

const text = (file: string) => readFileSync(join(root, file), 'utf8');

interface Export {
  readonly name: string;
  /** The name where it is defined. */
  readonly from: string;
  readonly file: string;
}

/** Whole files that are passed on under a name. */
const namespaces = (file: string): { name: string; file: string }[] =>
  [...text(file).matchAll(/^export \* as (\w+) from '([^']+)'/gm)].map(([, name, path]) => ({
    name: name!,
    file: relative(root, join(root, dirname(file), path!)),
  }));

/** What a file that is passed on whole declares itself. */
const declared = (file: string): Export[] =>
  [...text(file).matchAll(/^export (?:async )?(?:const|function\*?|class|interface|type) (\w+)/gm)].map(
    ([, name]) => ({ name: name!, from: name!, file }),
  );

/** What a file passes on from others. */
function passedOn(file: string): Export[] {
  const statements = [...text(file).matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)';/gms)];
  return statements.flatMap(([, list, path]) =>
    list!
      .split(',')
      .map((item) => item.trim().replace(/^type /, ''))
      .filter((item) => item !== '')
      .map((item) => {
        const [from, name = from] = item.split(' as ') as [string, string?];
        return { name: name!, from, file: relative(root, join(root, dirname(file), path!)) };
      }),
  );
}

/** The comment right before a declaration of a name, through files that pass it on. */
function documentation({ from, file }: Export): string | undefined {
  if (namespaces(file).some(({ name }) => name === from))
    return 'a namespace, of which each export is asked for';
  const further = passedOn(file).find(({ name }) => name === from);
  if (further) return documentation(further);
  const declaration = new RegExp(
    `(/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/)\\s*export (?:abstract |async )?(?:const|function\\*?|class|interface|type) ${from}\\b`,
  );
  return declaration.exec(text(file))?.[1];
}

for (const entry of entries) {
  test(`${entry}: every export is named and documented`, (t) => {
    const whole = [...text(entry).matchAll(/^export \* from '([^']+)'/gm)].map(([, path]) => path);
    t.deepEqual(whole, [], 'nothing is exported without being named');
    const spaces = [...new Set([entry, ...passedOn(entry).map(({ file }) => file)])].flatMap(namespaces);
    const names = [entry, ...spaces.map(({ file }) => file)].flatMap((file) => [
      ...passedOn(file),
      ...(file === entry ? [] : declared(file)),
    ]);
    t.ok(names.length > 0, `${names.length} exports`);
    t.deepEqual(
      names.filter((one) => documentation(one) === undefined).map(({ name, file }) => `${name} of ${file}`),
      [],
      'each has a docstring where it is defined',
    );
    t.end();
  });
}
