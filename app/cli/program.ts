// The command line: which commands there are, and what they take.

import { createRequire } from 'node:module';
import { Argument, Command, Option } from 'commander';
import { claims, defaultMethods, methods, metrics, recurrentMethods, tokenMethods } from '../../cam/index.ts';
import { colourMaps } from '../image/colour.ts';
import { completionCommand, shells } from './completion.ts';
import { compareCommand, explainCommand } from './explain.ts';
import { DEFAULT_MODEL, modelOptions, names, part, repeated, wholeNumber } from './options.ts';
import { beQuiet, beVerbose, complain, print } from './progress.ts';
import { targetForms } from './target.ts';

/** What a command runs, loaded when it does: every module that is loaded before costs the others' first explanation time. */
const later =
  <A extends readonly unknown[]>(load: () => Promise<(...given: A) => unknown>) =>
  async (...given: A): Promise<void> => {
    const command = await load();
    await command(...given);
  };

/** Examples under a command's help, each a command line. */
const examples = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText(
    'after',
    `\nExamples:\n${lines.map((line) => `  limelight ${command.name()} ${line}`).join('\n')}`,
  );

/** Options of all commands that use a device. */
const device = (command: Command): Command =>
  command
    .option('--device <device>', 'native, gles or swiftshader (default: the first that opens)')
    .option('--verbose', 'say how much memory may be taken, and show what drivers print')
    .on('option:verbose', beVerbose)
    .option('--quiet', 'say nothing but results and errors')
    .on('option:quiet', beQuiet);

const model = (command: Command): Command =>
  modelOptions(
    device(command).option(
      '--model <model>',
      'NAME (see models), a file (.onnx, .h5, .safetensors, .pth, model.json), or NAME=WEIGHTS.safetensors',
      DEFAULT_MODEL,
    ),
  );

/** Pictures, and whatever is asked about each. */
const pictures = (command: Command): Command =>
  model(command)
    .argument(
      '[image...]',
      'PNG, JPEG and WebP files, folders of them, patterns such as "*.jpg", or - for a pipe',
    )
    .option('--list <file>', 'a file that names pictures, one a line')
    .option(
      '--jobs <n>',
      'divide the pictures among n processes, each with a device of its own',
      wholeNumber,
      1,
    )
    // What a process tells those that it starts.
    .addOption(new Option('--shard <k/n>').argParser(part).hideHelp())
    .option('--json', 'print JSON instead of tables, one object a line');

const out = (command: Command): Command =>
  command
    .option('--out <dir>', 'folder for the files', './limelight-out')
    .option('--force', 'replace files that are there');

/** Options of the commands that explain pictures. */
const explaining = (command: Command): Command =>
  out(pictures(command))
    .option(
      '--method <methods>',
      `${[...methods.keys()].join(', ')}; separated by commas (default: those that apply of ${defaultMethods.join(', ')}; of a transformer ${tokenMethods.join(', ')}; of one that reads words through gates ${recurrentMethods.join(', ')})`,
      names,
    )
    .option(
      '--class <classes>',
      'indices or names, separated by commas; may be repeated (default: the predicted class)',
      repeated,
    )
    .option('--top <n>', 'explain the n likeliest classes', wholeNumber)
    .option('--layer <layers>', "target layers, separated by commas (default: the model's own; see inspect)")
    .addOption(
      new Option('--fuse <way>', 'one map of several layers, each divided by its maximum first').choices([
        'mean',
        'max',
      ]),
    )
    .option('--target <target>', `what of the class is explained: ${targetForms} (default: logit)`)
    .option('--signed', 'keep evidence against the class')
    .addOption(
      new Option('--colormap <name>', 'of maps without a sign (default: viridis)').choices([...colourMaps]),
    )
    .option('--raw', 'also write the maps and the weights as float32 .npy');

/** Throws a CommanderError for bad usage, and after help. */
export function program(): Command {
  const root = new Command('limelight')
    .description('Class activation maps of image classifiers, computed on WebGPU')
    .version((createRequire(import.meta.url)('limelight/package.json') as { version: string }).version)
    .exitOverride()
    .configureOutput({
      writeOut: print,
      writeErr: complain,
      outputError: (text, write) => write(text.replace(/^error: /, 'limelight: ')),
    });
  root.addHelpText(
    'after',
    `
Examples, and more under limelight COMMAND --help:
  limelight demo
  limelight explain photo.png --model cifar10-gap --method grad-cam,score-cam
  limelight predict dog.jpg --model resnet18`,
  );
  examples(
    explaining(root.command('explain')).description('explain pictures, an overlay for each method and class'),
    'photo.png --model cifar10-gap --method grad-cam,score-cam',
    'dog.jpg --model resnet18 --class "golden retriever" --raw --json',
    'photos/ --model network.onnx --preset imagenet --labels labels.txt --top 3',
    'dog.jpg --model resnet18 --layer layer3,layer4 --fuse mean --method layer-cam',
  ).action(explainCommand);
  examples(
    explaining(root.command('compare')).description(
      'explain pictures by every method, a sheet for each picture',
    ),
    'dog.jpg --model squeezenet1_0=weights.safetensors --labels imagenet',
    'scene.png --class 3,7 --layer stage1,features --method grad-cam,layer-cam',
  ).action(compareCommand);
  examples(
    pictures(root.command('predict'))
      .description('list the likeliest classes of pictures')
      .option('--top <n>', 'how many classes', wholeNumber, 5),
    'dog.jpg --model resnet18',
    '"photos/*.jpg" --model network.onnx --preset imagenet --top 1 --json',
    '- --model cifar10-gap < photo.png',
  ).action(later(async () => (await import('./predict.ts')).predictCommand));
  examples(
    modelOptions(root.command('inspect'))
      .description('show the nodes of a model, what they cost, and which methods apply')
      .argument('<model>', 'NAME (see models), a file, or NAME=WEIGHTS.safetensors')
      .option('--all', 'every node, however many there are')
      .option('--dot [file]', 'write the graph as Graphviz text, to the file or to standard output')
      .option('--force', 'replace a file that is there'),
    'digit-dense',
    'resnet18 --dot resnet18.dot',
    'network.onnx --all',
  ).action(later(async () => (await import('./inspect.ts')).inspectCommand));
  examples(
    model(root.command('evaluate'))
      .description('measure how right the maps of a data set are, by method')
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
      .option(
        '--layer <layers>',
        "target layers, a row each, or all of them (default: the model's own; see inspect)",
        names,
      )
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
      .option('--jobs <n>', 'measure in n processes, each with a device of its own', wholeNumber, 1)
      .option('--out <dir>', 'folder for the files', './limelight-out')
      .option('--resume', 'go on where an earlier run was stopped'),
    '--data scenes --count 100',
    '--model resnet18 --data photos/ --method grad-cam,score-cam',
    '--model network.onnx --data boxes.json --shard 3/16 --out parts',
  ).action(later(async () => (await import('./evaluate.ts')).evaluateCommand));
  examples(
    modelOptions(device(root.command('verify')))
      .description('check what must hold on a network, and show by how much it fails where it need not')
      .argument('<model>', 'NAME (see models), a file, or NAME=WEIGHTS.safetensors')
      .argument('[image...]', 'files, folders, patterns, or - for a pipe (default: noise)')
      .option('--claim <claims>', `${[...claims.keys()].join(', ')} (default: all)`, names)
      .option(
        '--class <classes>',
        'indices or names, separated by commas (default: the predicted class)',
        repeated,
      )
      .option('--layer <layers>', "target layers (default: the model's own; see inspect)")
      .option('--same-as <model>', 'check that another file of the same network gives the same logits')
      .option('--json', 'print one JSON object for each claim'),
    'digit-scenes --verbose',
    'network.onnx photo.jpg --preset imagenet',
    'network.onnx --same-as network.keras --claim batch',
  ).action(later(async () => (await import('./verify.ts')).verifyCommand));
  examples(
    root
      .command('merge')
      .description('put the parts of a sharded evaluation together')
      .argument('<part...>', 'files that evaluate --shard wrote')
      .option('--out <dir>', 'folder for the files', './limelight-out'),
    'parts/evaluation-*-of-16.jsonl --out whole',
  ).action(later(async () => (await import('./merge.ts')).mergeCommand));
  examples(root.command('models').description('list the models'), '').action(
    later(async () => (await import('./models.ts')).modelsCommand),
  );
  examples(
    device(out(root.command('demo'))).description('explain a shipped picture by every method'),
    '--out demo',
  ).action(later(async () => (await import('./demo.ts')).demoCommand));
  examples(
    device(root.command('tune'))
      .description('measure which kernels are the fastest on a device, and use them from now on')
      .option('--seconds <n>', 'that it may take', wholeNumber, 9),
    '--device native',
  ).action(later(async () => (await import('./tune.ts')).tuneCommand));
  examples(
    root
      .command('completion')
      .description('print a script that completes commands, options and names in a shell')
      .addArgument(new Argument('<shell>').choices(shells)),
    'bash >> ~/.bashrc',
    'zsh >> ~/.zshrc',
    'fish > ~/.config/fish/completions/limelight.fish',
  ).action(completionCommand);
  return root;
}
