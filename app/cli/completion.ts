// limelight completion: a script that teaches a shell the commands, the options and the names that they take, made of
// the program itself.

import type { Command, Option } from 'commander';
import { methods, metrics } from '../../cam/index.ts';
import { catalog } from '../../models/catalog.ts';
import { print } from './progress.ts';

/** Names that an option takes, besides choices that it says itself. */
const names: Readonly<Record<string, readonly string[]>> = {
  '--method': [...methods.keys()],
  '--metric': [...metrics.metrics.keys()],
  '--model': [...catalog.keys()],
  '--architecture': [...catalog.keys()],
  '--device': ['native', 'gles', 'swiftshader'],
};

const namesOf = ({ long, argChoices }: Option): readonly string[] => argChoices ?? names[long!] ?? [];
const optionsOf = (command: Command): readonly Option[] => command.createHelp().visibleOptions(command);

/** Bash's own way; zsh understands it too. */
function bash(root: Command): string {
  const options = new Map(root.commands.flatMap(optionsOf).map((option) => [option.long!, option]));
  const values = [...options].flatMap(([long, option]) => {
    const words = namesOf(option).join(' ');
    return words === '' ? [] : `    ${long}) COMPREPLY=($(compgen -W '${words}' -- "$word")); return ;;`;
  });
  const byCommand = root.commands.map((command) => {
    const longs = optionsOf(command).map(({ long }) => long);
    return `    ${command.name()}) options='${longs.join(' ')}' ;;`;
  });
  return `_limelight() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} options=
  case $before in
${values.join('\n')}
  esac
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W '${root.commands.map((command) => command.name()).join(' ')}' -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${byCommand.join('\n')}
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _limelight limelight
`;
}

const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

function fish(root: Command): string {
  const commands = root.commands.map(
    (command) =>
      `complete -c limelight -f -n __fish_use_subcommand -a ${command.name()} -d ${quoted(command.description())}`,
  );
  const options = root.commands.flatMap((command) =>
    optionsOf(command).map((option) => {
      const words = namesOf(option);
      const value = !option.required && !option.optional ? '' : words.length > 0 ? ' -x' : ' -r';
      const list = words.length > 0 ? ` -a ${quoted(words.join(' '))}` : '';
      return (
        `complete -c limelight -n ${quoted(`__fish_seen_subcommand_from ${command.name()}`)} ` +
        `-l ${option.long!.slice(2)}${value}${list} -d ${quoted(option.description)}`
      );
    }),
  );
  return `${[...commands, ...options].join('\n')}\n`;
}

const scripts: Readonly<Record<string, (root: Command) => string>> = {
  bash,
  zsh: (root) =>
    `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bash(root)}`,
  fish,
};

/** The shells for which there is a script. */
export const shells: readonly string[] = Object.keys(scripts);

/** The script that teaches a shell the program. */
export const completionScript = (root: Command, shell: string): string => scripts[shell]!(root);

export function completionCommand(shell: string, _: object, { parent }: Command): void {
  print(completionScript(parent!, shell));
}
