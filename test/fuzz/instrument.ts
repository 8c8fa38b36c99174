// Bundles a module with everything that it uses, and puts a counter in front of every piece of code that may or may not run. What
// ran is then read off `globalThis.reached`, which costs a fuzzer less than asking V8 for it (20 ms a time).

import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { parseAst } from 'rolldown/parseAst';

/** Counters that there is room for; their bytes wrap round. */
export const COUNTERS = 1 << 17;

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Node>).type === 'string';

/** Of which parts of a node it depends whether they run. */
const branches: Readonly<Record<string, readonly string[]>> = {
  ArrowFunctionExpression: ['body'],
  FunctionDeclaration: ['body'],
  FunctionExpression: ['body'],
  IfStatement: ['consequent', 'alternate'],
  ConditionalExpression: ['consequent', 'alternate'],
  LogicalExpression: ['right'],
  ForStatement: ['body'],
  ForOfStatement: ['body'],
  ForInStatement: ['body'],
  WhileStatement: ['body'],
  DoWhileStatement: ['body'],
  SwitchCase: ['consequent'],
  CatchClause: ['body'],
};

/** The code with its counters. */
function withCounters(code: string): string {
  const insertions: { at: number; text: string }[] = [];
  let count = 0;
  const visit = (node: Node) => {
    const own = node as unknown as Readonly<Record<string, unknown>>;
    for (const key of branches[node.type] ?? []) {
      const [branch] = [own[key]].flat();
      if (!isNode(branch)) continue;
      const counter = `reached[${count++ % COUNTERS}]++`;
      const { type, start, end } = branch;
      if (type === 'BlockStatement') insertions.push({ at: start + 1, text: `${counter};` });
      else if (node.type === 'SwitchCase') insertions.push({ at: start, text: `${counter};` });
      else {
        const [open, between, close] = /(Statement|Declaration)$/.test(type)
          ? ['{', ';', '}']
          : ['(', ',', ')'];
        insertions.push({ at: start, text: `${open}${counter}${between}` }, { at: end, text: close! });
      }
    }
    for (const child of Object.values(own).flat()) if (isNode(child)) visit(child);
  };
  visit(parseAst(code) as unknown as Node);
  let [out, from] = ['', 0];
  // Where several meet, those of inner nodes come first at an end and last at a beginning: as they were found, or turned.
  const sorted = insertions
    .map((one, order) => ({ ...one, order: /^[)}]/.test(one.text) ? -order : order }))
    .sort((a, b) => a.at - b.at || a.order - b.order);
  for (const { at, text } of sorted) {
    out += code.slice(from, at) + text;
    from = at;
  }
  return out + code.slice(from);
}

/** Where a module reads its own address; some assign to it. */
const OWN_URL = /import\.meta\.url(?!\s*\W{0,2}=[^=])/g;

/** Writes the bundle of a module to a file; with counters, or as it is. */
export async function bundle(entry: string, to: string, counted: boolean): Promise<void> {
  const made = await rolldown({
    input: entry,
    platform: 'node',
    resolve: { conditionNames: ['source', 'import', 'node', 'default'] },
    plugins: [
      {
        name: 'files stay where they are',
        transform: (code, id) => code.replace(OWN_URL, JSON.stringify(String(pathToFileURL(id)))),
      },
    ],
    logLevel: 'silent',
  });
  await made.write({
    file: to,
    format: 'esm',
    codeSplitting: false,
    plugins: counted ? [{ name: 'counters', renderChunk: (code) => withCounters(code) }] : [],
  });
  await made.close();
}
