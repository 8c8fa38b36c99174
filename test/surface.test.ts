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

/** Whole files that are passed on under a name; their head comments say what they are. */
const namespaces = (file: string): string[] =>
  [...text(file).matchAll(/^export \* as (\w+) from/gm)].map(([, name]) => name!);

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
  if (namespaces(file).includes(from)) return 'a namespace';
  const further = passedOn(file).find(({ name }) => name === from);
  if (further) return documentation(further);
  const declared = new RegExp(
    `(/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/)\\s*export (?:abstract |async )?(?:const|function|class|interface|type) ${from}\\b`,
  );
  return declared.exec(text(file))?.[1];
}

for (const entry of entries) {
  test(`${entry}: every export is named and documented`, (t) => {
    const whole = [...text(entry).matchAll(/^export \* from '([^']+)'/gm)].map(([, path]) => path);
    t.deepEqual(whole, [], 'nothing is exported without being named');
    const names = passedOn(entry);
    t.ok(names.length > 0, `${names.length} exports`);
    t.deepEqual(
      names.filter((one) => documentation(one) === undefined).map(({ name, file }) => `${name} of ${file}`),
      [],
      'each has a docstring where it is defined',
    );
    t.end();
  });
}
