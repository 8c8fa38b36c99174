// The command line: which commands there are, and what they take.

import { createRequire } from 'node:module';
import { Command } from 'commander';
import { defaultMethods, methods, metrics } from '../../cam/index.ts';
import { compareCommand } from './compare.ts';
import { demoCommand } from './demo.ts';
import { evaluateCommand } from './evaluate.ts';
import { explainCommand } from './explain.ts';
import { inspectCommand } from './inspect.ts';
import { mergeCommand } from './merge.ts';
import { modelsCommand } from './models.ts';
import { modelOptions, names, part, repeated, wholeNumber } from './options.ts';
import { beVerbose, note, print } from './progress.ts';
import { targetForms } from './target.ts';

const examples = `
Examples:
  limelight demo
  limelight explain photo.png --model cifar10-gap --method grad-cam,score-cam
  limelight explain scene.png --model digit-scenes --class 3,7 --raw --json
  limelight explain dog.jpg --model resnet18 --class "golden retriever"
  limelight explain dog.jpg --model network.onnx --preset imagenet --labels labels.txt
  limelight compare dog.jpg --model squeezenet1_0=weights.safetensors --labels imagenet
  limelight evaluate --model resnet18 --data photos/ --method grad-cam,score-cam
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
    .option('--target <target>', `what of the class is explained: ${targetForms} (default: logit)`)
    .option('--signed', 'keep evidence against the class');

const device = (command: Command): Command =>
  command
    .option('--device <device>', 'native, gles or swiftshader (default: the first that opens)')
    .option('--verbose', 'say how much memory may be taken, and show what drivers print')
    .on('option:verbose', beVerbose);

const out = (command: Command): Command =>
  command.option('--out <dir>', 'folder for the files', './limelight-out');

/** Throws a CommanderError for bad usage, and after help. */
export function program(): Command {
  const root = new Command('limelight')
    .description('Class activation maps of image classifiers, computed on WebGPU')
    .version((createRequire(import.meta.url)('limelight/package.json') as { version: string }).version)
    .exitOverride()
    .configureOutput({
      writeOut: print,
      writeErr: (text) => note(text.trimEnd()),
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
  out(modelOptions(device(root.command('evaluate'))))
    .description('measure how right the maps of a data set are, by method')
    .option('--model <model>', 'NAME (see models), a file, or NAME=WEIGHTS.safetensors', 'digit-scenes')
    .requiredOption(
      '--data <data>',
      'scenes, a folder of pictures (one folder a class, Pascal VOC, CUB), or a file of boxes (COCO .json, .csv)',
    )
    .option('--method <methods>', 'separated by commas (default: those that apply)', names)
    .option(
      '--metric <metrics>',
      `${[...metrics.metrics.keys()].join(', ')} (default: those of boxes where there are any)`,
      names,
    )
    .option('--layer <layer>', "target layer (default: the model's own; see inspect)")
    .option('--signed', 'upsample maps with their negative values, and cut those off afterwards')
    .option('--masks <dir>', 'folder of masks, PICTURE.png; what is not black is the object')
    .option('--mosaic <n>', 'measure mosaics of n x n pictures of different classes', wholeNumber)
    .option(
      '--count <n>',
      'how many scenes (default: 300), or pictures drawn of those there are',
      wholeNumber,
    )
    .option('--seed <n>', 'of scenes, mosaics and drawn pictures', wholeNumber, 1)
    .option(
      '--shard <k/n>',
      "measure part k of n (default: the scheduler's variables, else everything)",
      part,
    )
    .option('--resume', 'go on where an earlier run was stopped')
    .action(evaluateCommand);
  out(root.command('merge'))
    .description('put the parts of a sharded evaluation together')
    .argument('<part...>', 'files that evaluate --shard wrote')
    .action(mergeCommand);
  root.command('models').description('list the models').action(modelsCommand);
  device(out(root.command('demo')))
    .description('explain a shipped picture by every method')
    .action(demoCommand);
  return root;
}
