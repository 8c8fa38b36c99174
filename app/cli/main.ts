#!/usr/bin/env node
// The command line: parses, runs one command, and turns errors into messages and exit codes (0 done, 1 failed, 2 bad
// usage).

import { Command, CommanderError } from 'commander';
import { UnknownAdapterError } from '../../engine/index.ts';
import { compareCommand } from './compare.ts';
import { demoCommand } from './demo.ts';
import { describeError, UsageError } from './errors.ts';
import { explainCommand } from './explain.ts';
import { inspectCommand } from './inspect.ts';
import { modelsCommand } from './models.ts';

const examples = `
Examples:
  limelight demo
  limelight explain photo.png --model cifar10-gap --method grad-cam,score-cam
  limelight explain scene.png --model digit-scenes --class 3,7 --raw --json
  limelight compare dog.jpg --model squeezenet1_0=weights.safetensors --labels labels.json
  limelight inspect digit-dense`;

const list = (value: string): string[] => value.split(',').map((item) => item.trim());

/** Options of the commands that explain pictures. */
const explaining = (command: Command): Command =>
  device(command)
    .option('--model <model>', 'NAME, or NAME=WEIGHTS.safetensors', 'digit-scenes')
    .option('--class <classes>', 'indices or names, separated by commas (default: the predicted class)', list)
    .option('--layer <layer>', "target layer (default: the model's own; see inspect)")
    .option('--labels <file>', 'class names, a JSON array of strings')
    .option('--signed', 'keep evidence against the class');

const device = (command: Command): Command =>
  command.option('--device <device>', 'native, gles or swiftshader (default: the first that opens)');

const out = (command: Command): Command =>
  command.option('--out <dir>', 'folder for the files', './limelight-out');

function program(): Command {
  const root = new Command('limelight')
    .description('Class activation maps of image classifiers, computed on WebGPU')
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'limelight: ')),
    })
    .addHelpText('after', examples);
  out(explaining(root.command('explain')))
    .description('explain pictures, an overlay for each method and class')
    .argument('<image...>', 'PNG or JPEG files')
    .option('--method <methods>', 'separated by commas (default: the five that apply)', list)
    .option('--raw', 'also write the map and the weights as float32 .npy')
    .option('--json', 'print one JSON object for each explanation')
    .action(explainCommand);
  out(explaining(root.command('compare')))
    .description('explain one picture by every method, on one sheet')
    .argument('<image>', 'a PNG or JPEG file')
    .action(compareCommand);
  root
    .command('inspect')
    .description('show the nodes of a model, and which methods apply')
    .argument('<model>', 'see models')
    .action(inspectCommand);
  root.command('models').description('list the models').action(modelsCommand);
  device(out(root.command('demo')))
    .description('explain a shipped picture by every method')
    .action(demoCommand);
  return root;
}

// A reader that has seen enough, such as `head`, is no failure: what is left is written nowhere.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(describeError(error));
    process.exitCode = error instanceof UsageError || error instanceof UnknownAdapterError ? 2 : 1;
  }
}
