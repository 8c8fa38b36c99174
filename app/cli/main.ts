#!/usr/bin/env node
// The command line: arguments in, exit code out (0: done, 1: failed, 2: wrong usage).

import { Command, CommanderError, Option } from 'commander';
import { methods } from '../../cam/index.ts';
import { LimelightError } from '../../engine/errors.ts';
import { demo, type ExplainFlags, explainPictures } from './explain.ts';
import { inspect, listModels } from './inspect.ts';
import { UsageError } from './usage.ts';

const device = () => new Option('--device <name>', 'native, gles or swiftshader; by itself when left out');
const out = () => new Option('--out <folder>', 'where pictures and arrays go').default('limelight-out');

function withExplainOptions(command: Command): Command {
  return command
    .option(
      '--model <name[=weights]>',
      'a model, with a safetensors file where it is not shipped',
      'digit-scenes',
    )
    .option('--method <a,b>', `of ${[...methods.keys()].join(', ')}`)
    .option('--class <c,d>', 'classes by name or index; the predicted one when left out')
    .option('--layer <name>', 'target layer; see inspect')
    .option('--labels <file>', 'JSON list of class names')
    .option('--signed', 'keep negative evidence: no ReLU')
    .option('--raw', 'also write map and weights as .npy')
    .option('--json', 'one JSON object an explanation on standard output')
    .addOption(device())
    .addOption(out());
}

const program = new Command('limelight')
  .description('Class activation maps: where a network looks when it predicts a class')
  .exitOverride()
  .addHelpText(
    'after',
    `
Examples:
  limelight explain scene.png --method grad-cam,cam --class 7
  limelight explain photo.jpg --model squeezenet1_0=squeezenet1_0.safetensors --labels imagenet.json --json
  limelight compare scene.png --out pictures
  limelight inspect digit-dense`,
  );

withExplainOptions(program.command('explain <image...>').description('explain PNG or JPEG pictures')).action(
  (images: string[], flags: ExplainFlags) => explainPictures(images, flags, false),
);
withExplainOptions(program.command('compare <image>').description('all methods on one sheet')).action(
  (image: string, flags: ExplainFlags) => explainPictures([image], flags, true),
);
program
  .command('inspect <model>')
  .description('nodes, shapes and parameters of a model, and which methods apply')
  .addOption(device())
  .action((model: string, flags: { device?: string }) => inspect(model, flags.device));
program.command('models').description('the models known by name').action(listModels);
program
  .command('demo')
  .description('explain a shipped picture with a shipped network by all methods')
  .addOption(device())
  .addOption(out())
  .action((flags: { device?: string; out: string }) => demo(flags));

// A reader that goes away (limelight … | head) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof LimelightError) {
    process.stderr.write(`limelight: ${error.message}\n`);
    if (process.env.LIMELIGHT_DEBUG) process.stderr.write(`${error.stack}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  } else throw error;
}
