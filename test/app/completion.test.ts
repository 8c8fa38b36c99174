// The scripts that complete command lines, run by the shells that they are for.

import { spawnSync } from 'node:child_process';
import test from 'tape';
import { completionScript } from '../../app/cli/completion.ts';
import { program } from '../../app/cli/program.ts';
import { table } from '../../app/cli/report.ts';
import { methods } from '../../cam/index.ts';
import { limelight } from './limelight.ts';

const has = (shell: string) => spawnSync(shell, ['-c', ':']).status === 0;

/** How each shell is asked what it would complete. */
const ask: Readonly<Record<string, (script: string, words: readonly string[]) => string>> = {
  bash: (script, words) =>
    `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
     _limelight; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: (script, words) =>
    `${script}\nsetopt ksharrays\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
     _limelight; printf '%s\\n' "\${COMPREPLY[@]}"`,
  fish: (script, words) => `${script}\ncomplete -C '${words.join(' ')}' | string split -f1 \\t`,
};

for (const [shell, question] of Object.entries(ask)) {
  test(`${shell} completes commands, options and names`, { skip: !has(shell) && `no ${shell} here` }, (t) => {
    const script = completionScript(program(), shell);
    const completed = (...words: readonly string[]) => {
      const { stdout, stderr } = spawnSync(shell, ['-c', question(script, words)], { encoding: 'utf8' });
      t.equal(stderr, '', `${words.join(' ')} without a complaint`);
      // zsh leaves out by itself what does not begin so.
      return stdout
        .split('\n')
        .filter((line) => line !== '' && line.startsWith(words.at(-1)!))
        .sort();
    };
    t.deepEqual(completed('limelight', 'ex'), ['explain']);
    t.deepEqual(
      completed('limelight', 'explain', '--method', 'score'),
      [...methods.keys()].filter((name) => name.startsWith('score')).sort(),
    );
    t.deepEqual(completed('limelight', 'compare', '--resize', 's'), ['stretch']);
    t.deepEqual(completed('limelight', 'predict', '--to'), ['--top']);
    t.deepEqual(completed('limelight', 'merge', '--top'), [], 'another command has no such option');
    t.end();
  });
}

test('every command has a description and examples in its help', (t) => {
  const root = program();
  t.ok(root.commands.length > 5);
  for (const command of root.commands) {
    let help = '';
    command
      .configureOutput({
        writeOut: (text) => {
          help += text;
        },
      })
      .outputHelp();
    t.ok(command.description() !== '' && /\nExamples:\n {2}limelight \w/.test(help), command.name());
  }
  t.end();
});

test('an example of the help is understood by the program', (t) => {
  const { status, stdout } = limelight('completion', 'bash');
  t.equal(status, 0);
  t.equal(stdout, completionScript(program(), 'bash'));
  t.end();
});

test('a table that is wider than the terminal becomes a list, and has no colours', (t) => {
  const head = ['method', 'class'];
  const rows = [
    ['cam', '3'],
    ['grad-cam', 'a long name'],
  ];
  const wide = table(head, rows, 80);
  t.equal(wide.split('\n').length, 6);
  t.ok(wide.split('\n').every((line) => line.length === wide.indexOf('\n')));
  t.equal(table(head, rows, 20), 'method: cam\nclass: 3\n\nmethod: grad-cam\nclass: a long name');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one.
  t.notOk(/\x1b/.test(wide));
  t.end();
});
