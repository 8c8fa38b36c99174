// limelight inspect: the nodes of a network with what they cost, and which methods apply to it.

import { camRefusal, defaultMethodsOf } from '../../cam/index.ts';
import type { Shape } from '../../engine/index.ts';
import { visible } from '../../engine/visible.ts';
import { type DryRun, dryRun } from '../../models/dry-run.ts';
import { type GraphNode, parameterCount } from '../../models/graph.ts';
import { targetLayers } from '../../models/target-layer.ts';
import { writeWhole } from '../image/write.node.ts';
import { dotOf } from './dot.ts';
import { chooseModel } from './load.ts';
import type { ModelArguments } from './options.ts';
import { print } from './progress.ts';
import { preparation, table } from './report.ts';

export interface InspectArguments extends Omit<ModelArguments, 'model'> {
  readonly all?: boolean;
  /** true: to standard output. */
  readonly dot?: true | string;
  readonly force?: boolean;
}

/** Graphs of more nodes are shown without those that only pass values on. */
const MANY = 60;
/** Longer names are shown without their middle. */
const LONGEST = 48;

/** A name as a table holds it. */
export function shortened(name: string): string {
  const plain = visible(name);
  return plain.length <= LONGEST ? plain : `${plain.slice(0, LONGEST / 2 - 1)}…${plain.slice(-LONGEST / 2)}`;
}

/** A count as it is read: 3, 4.5 k, 11.7 M, 1.81 G. */
export function counted(n: number): string {
  const exponent = n < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** exponent;
  return exponent === 0 ? String(n) : `${value.toPrecision(3)} ${' kMG'[exponent]}`;
}

export async function inspectCommand(model: string, asked: InspectArguments): Promise<void> {
  const choice = await chooseModel({ ...asked, model }, false);
  const { graph, preprocessing, name, summary, targetLayer, detection, segmentation, classes } =
    choice.description;
  const inputShape = [1, preprocessing.channels, ...choice.exampleSize];
  const dry = dryRun(graph, inputShape);
  const { shapes, multiplyAdds: costs } = dry;
  if (asked.dot !== undefined) {
    const text = dotOf(graph, shapes, { name, inputShape, targetLayer });
    if (asked.dot === true) print(text);
    else await writeWhole(asked.dot, new TextEncoder().encode(text), { replace: asked.force ?? false });
    return;
  }
  const targets = targetLayers(dry);
  const says = (node: GraphNode) =>
    parameterCount(node) > 0 ||
    node.inputs.length > 1 ||
    node.name === targetLayer ||
    node.name === graph.output;
  const position = new Map(graph.nodes.map((node, i) => [node.name, i]));
  const isNext = ({ name, inputs: [input, ...others] }: GraphNode) =>
    others.length === 0 && (position.get(input!) ?? -1) === position.get(name)! - 1;
  const whole = asked.all === true || graph.nodes.length <= MANY;
  const listed = whole ? graph.nodes : graph.nodes.filter(says);
  const rows = listed.map((node) => [
    shortened(node.name),
    node.kind,
    isNext(node) ? '' : node.inputs.map(shortened).join('\n'),
    shapes.get(node.name)!.join(' x '),
    counted(parameterCount(node)).replace(/^0$/, ''),
    counted(costs.get(node.name)!).replace(/^0$/, ''),
    node.name === targetLayer ? 'default' : targets.has(node.name) ? 'yes' : '',
  ]);
  const left = graph.nodes.length - listed.length;
  const parameters = graph.nodes.reduce((sum, node) => sum + parameterCount(node), 0);
  const products = [...costs.values()].reduce((sum, cost) => sum + cost, 0);
  const lines = [
    `${name}: ${summary}`,
    `input ${inputShape.join(' x ')}${preprocessing.size ? '' : ', as an example: any size is taken'}; ` +
      `${preparation(preprocessing)}`,
    `${counted(parameters)} parameters, ${counted(products)} multiply-adds, ${graph.nodes.length} nodes`,
    ...(detection ? [detectorLine(shapes.get(detection.boxes)![1]!, classes.length)] : []),
    ...(segmentation ? [segmentationLine(shapes.get(segmentation.scores)!)] : []),
    table(
      [
        'node',
        'kind',
        'inputs, if not the node before',
        'output',
        'parameters',
        'multiply-adds',
        'target layer',
      ],
      rows,
    ),
    ...(left > 0 ? [`${left} nodes without parameters are left out; --all shows them`] : []),
    ...methodLines(dry, targetLayer, targets.has(targetLayer)),
  ];
  print(`${lines.join('\n')}\n`);
}

const segmentationLine = ([, classes, ...size]: Shape): string =>
  `scores of ${classes} class${classes === 1 ? '' : 'es'} at each of ${size.join(' x ')} places: a class's score is their sum where ` +
  'it is the most probable one; explain --target region:LEFT,TOP,RIGHT,BOTTOM explains those of a part of the picture';

const detectorLine = (boxes: number, classes: number): string =>
  `a detector: ${boxes} boxes proposed, ${classes} classes; predict lists what it finds, explain --target box:N explains it`;

/** Which methods apply to the default target layer, and why the others do not. */
function methodLines(dry: DryRun, targetLayer: string, has: boolean): string[] {
  if (!has) return ['methods: none, since no node is a feature map of several pixels'];
  const methods = defaultMethodsOf(dry);
  const refusal = methods.includes('cam') ? camRefusal(dry, targetLayer) : undefined;
  const applying = methods.filter((method) => method !== 'cam' || refusal === undefined);
  return [`methods: ${applying.join(', ')}`, ...(refusal === undefined ? [] : [`not cam: ${refusal}`])];
}
