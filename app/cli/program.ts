// The command line: which commands there are, and what they take.

import { createRequire } from 'node:module';
import { Command, Option } from 'commander';
import { defaultMethods, methods } from '../../cam/index.ts';
import { compareCommand } from './compare.ts';
import { demoCommand } from './demo.ts';
import { explainCommand } from './explain.ts';
import { inspectCommand } from './inspect.ts';
import { modelsCommand } from './models.ts';
import { modelOptions, names, repeated } from './options.ts';
import { targets } from './pipeline.ts';

const examples = `
Examples:
  limelight demo
  limelight explain photo.png --model cifar10-gap --method grad-cam,score-cam
  limelight explain scene.png --model digit-scenes --class 3,7 --raw --json
  limelight explain dog.jpg --model resnet18 --class "golden retriever"
  limelight explain dog.jpg --model network.onnx --preset imagenet --labels labels.txt
  limelight compare dog.jpg --model squeezenet1_0=weights.safetensors --labels imagenet
  limelight inspect digit-dense
  limelight inspect resnet18 --dot resnet18.dot`;

/** Options of the commands that explain pictures. */
const explaining = (command: Command): Command =>
  modelOptions(
    device(command).option(
      '--model <model>',
      'NAME (see models), a file (.onnx, .h5, .safetensors, .pth, model.json), or NAME=WEIGHTS.safetensors',
      'digit-scenes',
    ),
  )
    .option(
      '--class <classes>',
      'indices or names, separated by commas; may be repeated (default: the predicted class)',
      repeated,
    )
    .option('--layer <layer>', "target layer (default: the model's own; see inspect)")
    .addOption(
      new Option(
        '--target <target>',
        'what of the class is differentiated or ablated (default: logit)',
      ).choices(Object.keys(targets)),
    )
    .option('--signed', 'keep evidence against the class');

const device = (command: Command): Command =>
  command.option('--device <device>', 'native, gles or swiftshader (default: the first that opens)');

const out = (command: Command): Command =>
  command.option('--out <dir>', 'folder for the files', './limelight-out');

/** Throws a CommanderError for bad usage, and after help. */
export function program(): Command {
  const root = new Command('limelight')
    .description('Class activation maps of image classifiers, computed on WebGPU')
    .version((createRequire(import.meta.url)('limelight/package.json') as { version: string }).version)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'limelight: ')),
    })
    .addHelpText('after', examples);
  out(explaining(root.command('explain')))
    .description('explain pictures, an overlay for each method and class')
    .argument('<image...>', 'PNG, JPEG or WebP files')
    .option(
      '--method <methods>',
      `${[...methods.keys()].join(', ')}; separated by commas (default: those that apply of ${defaultMethods.join(', ')})`,
      names,
    )
    .option('--raw', 'also write the map and the weights as float32 .npy')
    .option('--json', 'print one JSON object for each explanation')
    .action(explainCommand);
  out(explaining(root.command('compare')))
    .description('explain one picture by every method, on one sheet')
    .argument('<image>', 'a PNG, JPEG or WebP file')
    .action(compareCommand);
  modelOptions(root.command('inspect'))
    .description('show the nodes of a model, what they cost, and which methods apply')
    .argument('<model>', 'NAME (see models), a file, or NAME=WEIGHTS.safetensors')
    .option('--all', 'every node, however many there are')
    .option('--dot [file]', 'write the graph as Graphviz text, to the file or to standard output')
    .action(inspectCommand);
  root.command('models').description('list the models').action(modelsCommand);
  device(out(root.command('demo')))
    .description('explain a shipped picture by every method')
    .action(demoCommand);
  return root;
}
