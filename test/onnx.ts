// Runs the backend test suites of ONNX that Debian packages as libonnx-testdata: every case whose operators Limelight
// reads and whose inputs and outputs are float32, whole numbers or bool. Prints what passed, failed and was skipped, with
// reasons; the exit status says whether the bar was met.
//
//   npm run test:onnx [-- [--folder DIR] [--verbose] [NAME...]]
//
// Limelight reads networks whose weights are in the file and whose input is a picture. So each case is run with its
// first float input on the device and all others known beforehand, as initializers are; then with every float input on
// the device; then with none. What must be known beforehand (scales, bounds of a range) rules some of these out; every
// other one must agree with the suite.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Tensor } from '../engine/index.ts';
import { type Device, openDevice, scope, tensor } from '../engine/index.ts';
import type { Constant } from '../models/formats/constant.ts';
import { FormatError } from '../models/formats/errors.ts';
import { isConstant, type Value } from '../models/formats/onnx/call.ts';
import { allowanceOfFile, importNodes, isStandard } from '../models/formats/onnx/importer.ts';
import { decodeModel, decodeTensor, type GraphProto } from '../models/formats/onnx/messages.ts';
import { operators } from '../models/formats/onnx/operators.ts';
import { openModel, partsOf } from '../models/formats/onnx/read.ts';
import { readTensor } from '../models/formats/onnx/tensors.ts';

/** The operators of image classifiers and vision transformers that Limelight promises; a case is skipped by this list. */
const PROMISED = new Set(
  (
    'Conv ConvTranspose Gemm MatMul MaxPool AveragePool GlobalAveragePool GlobalMaxPool BatchNormalization ' +
    'InstanceNormalization LayerNormalization LRN Relu LeakyRelu PRelu Elu Selu Sigmoid HardSigmoid HardSwish Tanh ' +
    'Gelu Erf Mish Clip Softmax LogSoftmax Add Sub Mul Div Pow Sqrt Exp Log Neg Abs Min Max Where Equal Greater Less ' +
    'GreaterOrEqual LessOrEqual Concat Flatten Reshape Transpose Squeeze Unsqueeze Expand Tile Pad Slice Split Gather ' +
    'Shape Constant ConstantOfShape Range Cast Identity Dropout ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ' +
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare ArgMax Resize Upsample Softplus Softsign Celu ' +
    'ThresholdedRelu Reciprocal Sign Not And Or Xor DepthToSpace SpaceToDepth Einsum CastLike ' +
    'Sum Mean IsNaN IsInf LpNormalization Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Trilu EyeLike CumSum ' +
    'OneHot Size ' +
    'QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger QLinearMatMul QLinearConv'
  ).split(' '),
);
const TYPES = new Map([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
]);
/** Share of the applicable cases of the suite `node` that must pass. */
const BAR = 0.95;
/** The suite's own: |found - expected| <= atol + rtol |expected|. */
const TOLERANCE = { rtol: 1e-3, atol: 1e-7 };

type Outcome = 'passed' | 'failed' | 'skipped';
interface Result {
  readonly suite: string;
  readonly name: string;
  readonly outcome: Outcome;
  readonly reason: string;
}

/** Why a case is none of Limelight's, if it is not. */
function notApplicable(graph: GraphProto): string | undefined {
  const outside = [
    ...new Set(
      graph.nodes
        .filter((node) => !isStandard(node.domain) || !PROMISED.has(node.operator))
        .map((node) => node.operator),
    ),
  ];
  if (outside.length > 0) return `operator outside the list: ${outside.join(', ')}`;
  const types = [...graph.inputs, ...graph.outputs].map(({ type }) => type?.tensor?.elementType);
  const other = types.find((type) => !TYPES.has(type ?? 0));
  return types.some((type) => !TYPES.has(type ?? 0))
    ? `type outside float32, whole numbers, bool: ${other === undefined ? 'not a tensor' : `ONNX type ${other}`}`
    : undefined;
}

const protos = (folder: string, kind: 'input' | 'output'): Constant[] => {
  const found: Constant[] = [];
  for (let i = 0; existsSync(join(folder, `${kind}_${i}.pb`)); i++) {
    const file = join(folder, `${kind}_${i}.pb`);
    found.push(readTensor({ ...decodeTensor(readFileSync(file), file), name: '' }, new Map()));
  }
  return found;
};

/** What one data set of a case gives, with the named inputs on the device. */
async function outputsOf(
  device: Device,
  { graph, opsets, functions }: ReturnType<typeof openModel>,
  inputs: ReadonlyMap<string, Constant>,
  onDevice: ReadonlySet<string>,
): Promise<{ shape: readonly number[]; data: ArrayLike<number> }[]> {
  const parts = await partsOf(graph, () => Promise.reject(new FormatError('no parts here')));
  const given = new Map<string, Value>();
  for (const [name, value] of inputs) {
    const { type, shape } = value;
    given.set(name, onDevice.has(name) ? { type, shape, twice: shape, before: 1, node: name } : value);
  }
  const imported = importNodes(graph, {
    opsets,
    functions,
    batch: 1,
    given,
    parts,
    allowance: allowanceOfFile(),
  });
  const results = scope(() => {
    const values = new Map<string, Tensor>();
    for (const name of onDevice) {
      const { data, shape } = inputs.get(name)!;
      values.set(name, tensor(device, data, shape));
    }
    for (const node of imported.nodes) {
      const own = Object.entries(node.parameters).map(([role, { key, shape }]) => {
        return [role, tensor(device, imported.tensors.get(key)!.data, shape)] as const;
      });
      const parameters = Object.fromEntries(own);
      values.set(
        node.name,
        node.run(
          node.inputs.map((name) => values.get(name)!),
          { parameters },
        ),
      );
    }
    return graph.outputs.map(({ name }) => {
      const value = imported.values.get(name)!;
      if (value instanceof Error) throw value;
      return isConstant(value) ? value : values.get(value.node)!;
    });
  });
  const found = [];
  for (const result of results) {
    found.push({ shape: result.shape, data: 'storage' in result ? await result.data() : result.data });
    if ('dispose' in result) result.dispose();
  }
  return found;
}

function difference(
  found: { shape: readonly number[]; data: ArrayLike<number> },
  expected: Constant,
): string | undefined {
  if (found.shape.join() !== expected.shape.join()) {
    return `shape [${found.shape.join(', ')}], expected [${expected.shape.join(', ')}]`;
  }
  const { rtol, atol } = TOLERANCE;
  const exact = expected.type !== 'float';
  const at = expected.data.findIndex((e, i) => {
    const f = exact ? Math.round(found.data[i]!) : found.data[i]!;
    return !(Object.is(f, e) || f === e || Math.abs(f - e) <= (exact ? 0 : atol + rtol * Math.abs(e)));
  });
  return at < 0 ? undefined : `element ${at} is ${found.data[at]}, expected ${expected.data[at]}`;
}

/** Which float inputs are on the device. */
const placements = (floats: readonly string[]): (readonly string[])[] => [
  ...(floats.length > 0 ? [floats.slice(0, 1)] : []),
  ...(floats.length > 1 ? [floats] : []),
  [],
];

/** Passes over a placement that puts on the device what must be known when a file is read. */
function mustBeKnown(error: unknown): undefined {
  if (error instanceof FormatError && error.message.includes('it must be known when the file is read'))
    return;
  throw error;
}

async function runCase(device: Device, folder: string): Promise<[Outcome, string]> {
  const file = join(folder, 'model.onnx');
  const model = decodeModel(readFileSync(file), 'model.onnx');
  const reason = model.graph && notApplicable(model.graph);
  if (reason) return ['skipped', reason];
  try {
    const opened = openModel(model, 'model.onnx');
    const { graph } = opened;
    const sets = readdirSync(folder).filter((name) => name.startsWith('test_data_set_'));
    if (sets.length === 0) return ['skipped', 'the case has no data'];
    for (const set of sets) {
      const filled = new Set(graph.initializers.map(({ name }) => name));
      const data = protos(join(folder, set), 'input');
      // Old files list their initializers among the inputs; the data is for the inputs in their order.
      const open =
        data.length === graph.inputs.length ? graph.inputs : graph.inputs.filter((v) => !filled.has(v.name));
      const inputs = new Map(open.map(({ name }, i) => [name, data[i]!] as const));
      const floats = [...inputs].filter(([, value]) => value.type === 'float').map(([name]) => name);
      const expected = protos(join(folder, set), 'output');
      let ran = 0;
      for (const onDevice of placements(floats)) {
        const found = await outputsOf(device, opened, inputs, new Set(onDevice)).catch(mustBeKnown);
        if (found === undefined) continue;
        ran++;
        for (const [i, output] of expected.entries()) {
          const problem = difference(found[i]!, output);
          if (problem) {
            return ['failed', `${set}, output ${i}, ${onDevice.length} inputs on the device: ${problem}`];
          }
        }
      }
      if (ran === 0) return ['failed', 'it ran in no way'];
    }
    return ['passed', ''];
  } catch (error) {
    const kind = error instanceof FormatError ? 'refused' : 'error';
    return ['failed', `${kind}: ${error instanceof Error ? error.message : error}`];
  }
}

const { values: options, positionals } = parseArgs({
  options: {
    folder: { type: 'string', default: '/usr/share/libonnx-testdata/data' },
    verbose: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const missing = [...PROMISED].filter((operator) => !operators.has(operator));
if (missing.length > 0) throw new Error(`promised operators are missing: ${missing.join(', ')}`);
if (!existsSync(options.folder)) {
  console.error(`${options.folder} is not there: apt-get install libonnx-testdata, or give --folder`);
  process.exit(2);
}

const device = await openDevice();
console.log(`device: ${device.kind}, ${device.name}`);
const results: Result[] = [];
for (const suite of ['node', 'simple', 'pytorch-converted', 'pytorch-operator']) {
  for (const name of readdirSync(join(options.folder, suite)).sort()) {
    const folder = join(options.folder, suite, name);
    if (!existsSync(join(folder, 'model.onnx'))) continue;
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    const [outcome, reason] = await runCase(device, folder);
    results.push({ suite, name, outcome, reason });
    if (outcome === 'failed' || (options.verbose && outcome === 'skipped')) {
      console.log(`${outcome} ${suite}/${name}: ${reason}`);
    }
  }
}

const skips = new Map<string, number>();
for (const { outcome, reason } of results) {
  if (outcome !== 'skipped') continue;
  const why = reason.split(':')[0]!;
  skips.set(why, (skips.get(why) ?? 0) + 1);
}
for (const [why, count] of skips) console.log(`skipped ${count}: ${why}`);
let met = true;
for (const suite of new Set(results.map((result) => result.suite))) {
  const count = (outcome: Outcome) =>
    results.filter((result) => result.suite === suite && result.outcome === outcome).length;
  const [passed, failed, skipped] = [count('passed'), count('failed'), count('skipped')];
  const share = passed / Math.max(1, passed + failed);
  console.log(
    `${suite}: ${passed} passed, ${failed} failed, ${skipped} skipped; ${(100 * share).toFixed(1)} % of the applicable`,
  );
  if (suite === 'node' && share < BAR) met = false;
}
console.log(`the bar, ${100 * BAR} % of the suite node, is ${met ? '' : 'not '}met`);
process.exit(met ? 0 : 1);
