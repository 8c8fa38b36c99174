// TensorFlow's operations as ONNX's operators, a row each.

import { FormatError } from '../errors.ts';
import { quote } from '../json.ts';
import {
  flag,
  number,
  numbers,
  type Settings,
  type TfNode,
  TO_FIRST,
  text,
  texts,
  typeOf,
  type Writer,
} from './writer.ts';

/** Writes one operation. */
type Row = (node: TfNode, write: Writer) => void;

/** Operations that give their first input as it is when a network is only run. */
export const PASSES: ReadonlySet<string> = new Set([
  'Identity',
  'StopGradient',
  'PreventGradient',
  'CheckNumerics',
  'Snapshot',
  'ReadVariableOp',
  'EnsureShape',
]);

/** A function of each element, which leaves the layout as it is. */
const inPlace =
  (written: (x: string, node: TfNode, write: Writer) => void): Row =>
  (node, write) => {
    const x = held(node, write);
    written(x.name, node, write);
    if (x.isFirst) write.markFirst(node.name);
  };

/** An operation on a map with its channels first, which gives such a map. */
const ofMap =
  (written: (x: string, node: TfNode, write: Writer) => void): Row =>
  (node, write) => {
    written(write.first(write.value(node.inputs, 0)), node, write);
    write.markFirst(node.name);
  };

const unary = (operator: string, settings: (node: TfNode) => Settings = () => ({})): Row =>
  inPlace((x, node, write) => write.emit(operator, [x], settings(node), node.name));

/** A node's first input as it is held. */
function held({ inputs }: TfNode, write: Writer): { name: string; isFirst: boolean } {
  const value = write.value(inputs, 0);
  const isFirst = write.isFirst(value);
  return { name: isFirst ? write.first(value) : write.last(value), isFirst };
}

/** Several values in one layout: channels first where one is held so and the others are too, or are weights. */
function together(values: readonly string[], write: Writer): { names: string[]; isFirst: boolean } {
  const isFirst =
    values.some(write.isFirst) &&
    values.every((one) => write.isFirst(one) || write.weightOf(one) !== undefined);
  if (!isFirst) return { names: values.map(write.last), isFirst };
  return {
    names: values.map((one) => (write.isFirst(one) ? write.first(one) : spread(one, write))),
    isFirst,
  };
}

/** A weight that broadcasts to [N, H, W, C], so that it does to [N, C, H, W]. */
function spread(value: string, write: Writer): string {
  const { shape } = write.weightOf(value)!;
  if (shape.length === 0) return write.last(value);
  if (shape.length > 4)
    throw new FormatError(
      `a constant of shape ${quote(shape)} cannot meet a feature map, which has four axes`,
    );
  const whole = [...new Array<number>(4 - shape.length).fill(1), ...shape];
  const wide = write.emit('Reshape', [write.last(value), write.numbers(whole)]);
  return write.emit('Transpose', [wide], { perm: TO_FIRST });
}

const elementwise =
  (operator: string): Row =>
  ({ name, inputs }, write) => {
    if (inputs.length < 2) throw new FormatError(`it takes two values and is given ${inputs.length}`);
    const { names, isFirst } = together(inputs, write);
    names.reduce((left, right, i) =>
      write.emit(operator, [left, right], {}, ...(i === names.length - 1 ? [name] : [])),
    );
    if (isFirst) write.markFirst(name);
  };

/** The functions that fused layers end with, and Relu6, which is a row by itself too. */
function activated(
  operation: string,
  x: string,
  { attributes }: Pick<TfNode, 'attributes'>,
  write: Writer,
  output: string,
): string {
  if (operation === 'Relu6')
    return write.emit('Clip', [x, write.numbers(0, false), write.numbers(6, false)], {}, output);
  const alpha = { float: number(attributes, 'leakyrelu_alpha', number(attributes, 'alpha', 0.2)) };
  return write.emit(operation, [x], operation === 'LeakyRelu' ? { alpha } : {}, output);
}

const ACTIVATIONS = new Set(['Relu', 'Relu6', 'Elu', 'Sigmoid', 'Tanh', 'LeakyRelu']);

/** What a fused layer does behind its product: a bias and a function. */
function fusedWith(
  node: TfNode,
  made: string,
  extras: readonly string[],
  write: Writer,
  isMap: boolean,
): void {
  const steps = texts(node.attributes, 'fused_ops');
  const rest = [...extras];
  let at = made;
  steps.forEach((step, i) => {
    const output = i === steps.length - 1 ? node.name : `${node.name}/${step}`;
    const operand = () => {
      const value = rest.shift();
      if (value === undefined) throw new FormatError(`it ends with ${step}, whose operand is missing`);
      return isMap ? spread(value, write) : write.last(value);
    };
    if (step === 'BiasAdd') at = write.emit('Add', [at, operand()], {}, output);
    else if (step === 'Prelu') at = write.emit('PRelu', [at, operand()], {}, output);
    else if (ACTIVATIONS.has(step)) at = activated(step, at, node, write, output);
    else
      throw new FormatError(
        `it ends with ${step}, which is not supported there; convert the model without fusing it`,
      );
  });
}

/** Whether a node ends with what `fusedWith` writes. */
const isFused = ({ attributes }: TfNode): boolean => texts(attributes, 'fused_ops').length > 0;

/** How a window moves, of an operation on [N, H, W, C]. */
function moves({ attributes }: TfNode): Settings {
  const format = text(attributes, 'data_format', 'NHWC');
  if (format !== 'NHWC') throw new FormatError(`its data_format is ${format}; NHWC is read`);
  const along = (name: string) => {
    const list = numbers(attributes, name);
    return list.length === 4 ? [list[1]!, list[2]!] : [1, 1];
  };
  const padding = text(attributes, 'padding');
  const sides = numbers(attributes, 'explicit_paddings');
  const pads: Settings =
    padding === 'EXPLICIT' && sides.length === 8
      ? { pads: [sides[2]!, sides[4]!, sides[3]!, sides[5]!] }
      : { auto_pad: padding === 'SAME' ? 'SAME_UPPER' : padding };
  return { strides: along('strides'), dilations: along('dilations'), ...pads };
}

/** A convolution; `weights` writes its kernel as ONNX has it, and gives its groups. */
const convolution = (
  weights: (kernel: string, shape: readonly number[], write: Writer) => { name: string; group: number },
): Row =>
  ofMap((x, node, write) => {
    const { inputs } = node;
    const { shape } = write.numbersOf(inputs, 1);
    if (shape.length !== 4)
      throw new FormatError(
        `its kernel has the shape ${quote(shape)}; expected four axes: height, width, channels in and out`,
      );
    const { name, group } = weights(write.last(write.value(inputs, 1)), shape, write);
    const settings = { ...moves(node), kernel_shape: shape.slice(0, 2), group };
    const output = isFused(node) ? `${node.name}/product` : node.name;
    const made = write.emit('Conv', [x, name], settings, output);
    fusedWith(node, made, inputs.slice(2), write, true);
  });

const conv2d = convolution((kernel, _, write) => ({
  name: write.emit('Transpose', [kernel], { perm: [3, 2, 0, 1] }),
  group: 1,
}));

/** [kh, kw, C, m]: channel c gives channels c m to c m + m - 1. */
const depthwise = convolution((kernel, [height, width, channels], write) => {
  const byChannel = write.emit('Transpose', [kernel], { perm: [2, 3, 0, 1] });
  const shape = write.numbers([-1, 1, height!, width!]);
  return { name: write.emit('Reshape', [byChannel, shape]), group: channels! };
});

/** A transposed convolution, of whose result the size is given: [N, H, W, C]. */
const transposed: Row = (node, write) => {
  const { inputs, name } = node;
  const { shape } = write.numbersOf(inputs, 1);
  if (shape.length !== 4) throw new FormatError(`a kernel of ${quote(shape)}`);
  const kernel = write.emit('Transpose', [write.last(write.value(inputs, 1))], { perm: [3, 2, 0, 1] });
  const how = moves(node);
  // Of SAME the size is stride times the input's unless it is said; VALID leaves no choice.
  const isSaid = how.auto_pad === 'SAME_UPPER' && write.weightOf(write.value(inputs, 0)) !== undefined;
  const size: Settings = isSaid ? { output_shape: write.numbersOf(inputs, 0).numbers.slice(1, 3) } : {};
  const x = write.first(write.value(inputs, 2));
  write.emit('ConvTranspose', [x, kernel], { ...how, ...size, kernel_shape: shape.slice(0, 2) }, name);
  write.markFirst(name);
};

const matmul: Row = (node, write) => {
  const { attributes, inputs } = node;
  const turnedBy = (...names: string[]) => names.some((name) => flag(attributes, name));
  const side = (index: number, ...names: string[]) => {
    const value = write.last(write.value(inputs, index));
    return turnedBy(...names) ? write.emit('Transpose', [value], { perm: [1, 0] }) : value;
  };
  const output = isFused(node) ? `${node.name}/product` : node.name;
  const made = write.emit(
    'MatMul',
    [side(0, 'transpose_a', 'adj_x'), side(1, 'transpose_b', 'adj_y')],
    {},
    output,
  );
  fusedWith(node, made, inputs.slice(2), write, false);
};

const batchNorm: Row = ofMap((x, { attributes, inputs, name }, write) => {
  // Left out, it is true.
  if (attributes.is_training !== undefined && flag(attributes, 'is_training'))
    throw new FormatError('it is set to training; save the model for inference');
  const parameters = [1, 2, 3, 4].map((index) => write.last(write.value(inputs, index)));
  const epsilon = { float: number(attributes, 'epsilon', 1e-4) };
  write.emit('BatchNormalization', [x, ...parameters], { epsilon }, name);
});

const pool = (operator: string): Row =>
  ofMap((x, node, write) => {
    const size = numbers(node.attributes, 'ksize');
    if (size.length !== 4 || size[0] !== 1 || size[3] !== 1)
      throw new FormatError(`its windows are ${quote(size)}; expected [1, height, width, 1]`);
    const { dilations: _, ...how } = moves(node);
    write.emit(operator, [x], { ...how, kernel_shape: size.slice(1, 3) }, node.name);
  });

/** Reduces along axes that are an input; over the plane of a map it stays a map if it keeps them. */
const reduction =
  (operator: string): Row =>
  (node, write) => {
    const axes = write.numbersOf(node.inputs, 1).numbers;
    const keepdims = Number(flag(node.attributes, 'keep_dims'));
    const x = held(node, write);
    const ofPlane =
      x.isFirst &&
      axes
        .map((axis) => (axis < 0 ? axis + 4 : axis))
        .sort()
        .join() === '1,2';
    const [value, over] = ofPlane ? [x.name, [2, 3]] : [write.last(node.inputs[0]!), axes];
    write.emit(operator, [value, write.numbers(over)], { keepdims }, node.name);
    if (ofPlane && keepdims) write.markFirst(node.name);
  };

/** An operation on values as TensorFlow has them; `settings` and further inputs from the node. */
const plain =
  (
    operator: string,
    rest: (node: TfNode, write: Writer) => { inputs?: string[]; settings?: Settings } = () => ({}),
  ): Row =>
  (node, write) => {
    const { inputs = [], settings = {} } = rest(node, write);
    write.emit(operator, [write.last(write.value(node.inputs, 0)), ...inputs], settings, node.name);
  };

const pad: Row = (node, write) => {
  const { shape, numbers: sides } = write.numbersOf(node.inputs, 1);
  const x = held(node, write);
  const order = x.isFirst ? TO_FIRST : Array.from({ length: shape[0] ?? 0 }, (_, axis) => axis);
  if (sides.length !== 2 * order.length)
    throw new FormatError(`its paddings have the shape ${quote(shape)}; expected two numbers for each axis`);
  const pads = [0, 1].flatMap((side) => order.map((axis) => sides[2 * axis + side]!));
  const mode = { CONSTANT: 'constant', REFLECT: 'reflect' }[text(node.attributes, 'mode', 'CONSTANT')];
  if (mode === undefined) throw new FormatError('its mode is not supported');
  const value = node.op === 'PadV2' ? [write.last(write.value(node.inputs, 2))] : [];
  write.emit('Pad', [x.name, write.numbers(pads), ...value], { mode }, node.name);
  if (x.isFirst) write.markFirst(node.name);
};

/** ConcatV2 ends with its axis, Concat begins with it. */
const concat =
  (axisAt: 0 | -1): Row =>
  ({ name, inputs }, write) => {
    const values = axisAt === 0 ? inputs.slice(1) : inputs.slice(0, -1);
    const axis = write.one(inputs.slice(axisAt), 0);
    const { names, isFirst } = together(values, write);
    const places = [0, 2, 3, 1];
    const along = isFirst ? places[axis < 0 ? axis + 4 : axis] : axis;
    if (along === undefined)
      throw new FormatError(`its axis ${axis} is none of a feature map, which has four`);
    write.emit('Concat', names, { axis: along }, name);
    if (isFirst) write.markFirst(name);
  };

/** Outputs are called as their node, the second and later ones with a number behind. */
const outputsOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}:${i}`));

/** Parts of an axis; `settings` says from which inputs the value and the axis come, and the parts' sizes if they are said. */
const split = (
  of: (
    node: TfNode,
    write: Writer,
  ) => { value: number; axis: number; sizes?: readonly number[]; count: number },
): Row => {
  return (node, write) => {
    const { value, axis, sizes, count } = of(node, write);
    const inputs = [write.last(write.value(node.inputs, value)), ...(sizes ? [write.numbers(sizes)] : [])];
    const settings = { axis, ...(!sizes && { num_outputs: count }) };
    write.emit('Split', inputs, settings, ...outputsOf(node.name, count));
  };
};

const unpack: Row = ({ name, inputs, attributes }, write) => {
  const axis = number(attributes, 'axis', 0);
  const x = write.last(write.value(inputs, 0));
  outputsOf(name, number(attributes, 'num', 0)).forEach((output, i) => {
    write.emit('Gather', [x, write.numbers(i)], { axis }, output);
  });
};

const pack: Row = ({ name, inputs, attributes }, write) => {
  const axis = number(attributes, 'axis', 0);
  const parts = inputs.map((one) => write.emit('Unsqueeze', [write.last(one), write.numbers([axis])]));
  write.emit('Concat', parts, { axis }, name);
};

/** Slices as Python writes them; an axis that is shrunk is one of which one index is taken. */
const stridedSlice: Row = ({ name, inputs, attributes }, write) => {
  const mask = (of: string) => number(attributes, `${of}_mask`, 0);
  if (mask('ellipsis') !== 0 || mask('new_axis') !== 0) throw new FormatError('its masks are not supported');
  const [begin, end, step] = [1, 2, 3].map((index) => write.numbersOf(inputs, index).numbers) as [
    readonly number[],
    readonly number[],
    readonly number[],
  ];
  const is = (of: string, axis: number) => (mask(of) & (1 << axis)) !== 0;
  const far = 2 ** 31 - 1;
  const starts = begin.map((at, axis) => (is('begin', axis) ? (step[axis]! < 0 ? far : 0) : at));
  const ends = end.map((at, axis) => {
    if (is('shrink_axis', axis)) return begin[axis] === -1 ? far : begin[axis]! + 1;
    return is('end', axis) ? (step[axis]! < 0 ? -far : far) : at;
  });
  const axes = begin.map((_, axis) => axis);
  const shrunk = axes.filter((axis) => is('shrink_axis', axis));
  const lists = [starts, ends, axes, step].map((list) => write.numbers(list));
  const output = shrunk.length > 0 ? `${name}/slice` : name;
  const made = write.emit('Slice', [write.last(write.value(inputs, 0)), ...lists], {}, output);
  if (shrunk.length > 0) write.emit('Squeeze', [made, write.numbers(shrunk)], {}, name);
};

const slice: Row = ({ name, inputs }, write) => {
  const [begin, size] = [write.numbersOf(inputs, 1).numbers, write.numbersOf(inputs, 2).numbers];
  const ends = begin.map((at, axis) => (size[axis] === -1 ? 2 ** 31 - 1 : at + size[axis]!));
  const lists = [begin, ends].map((list) => write.numbers(list));
  write.emit('Slice', [write.last(write.value(inputs, 0)), ...lists], {}, name);
};

const resize = (mode: 'linear' | 'nearest'): Row =>
  ofMap((x, node, write) => {
    const corners = flag(node.attributes, 'align_corners');
    const centres = flag(node.attributes, 'half_pixel_centers');
    const settings = {
      mode,
      coordinate_transformation_mode: corners ? 'align_corners' : centres ? 'half_pixel' : 'asymmetric',
      // TensorFlow rounds halves up with half_pixel_centers, and down to the corner without.
      nearest_mode: corners || centres ? 'round_prefer_ceil' : 'floor',
      axes: [2, 3],
    };
    const size = write.last(write.value(node.inputs, 1));
    write.emit('Resize', [x, '', '', size], settings, node.name);
  });

const softmax = (operator: string) => plain(operator, () => ({ settings: { axis: -1 } }));

const CASTS: Readonly<Record<string, number>> = { DT_FLOAT: 1, DT_HALF: 1, DT_INT32: 6, DT_UINT8: 2 };

/** Functions of each element that are called the same in ONNX. */
const SAME_NAMES =
  'Relu Elu Selu Sigmoid Tanh Softplus Softsign Erf Exp Log Sqrt Neg Abs Sign Reciprocal Floor Ceil Sin Cos'.split(
    ' ',
  );

/** Rows alike but for their names. */
const rowsOf = (names: readonly string[], row: (name: string) => Row) =>
  Object.fromEntries(names.map((name) => [name, row(name)]));

export const rows: ReadonlyMap<string, Row> = new Map<string, Row>(
  Object.entries({
    Conv2D: conv2d,
    _FusedConv2D: conv2d,
    FusedConv2D: conv2d,
    DepthwiseConv2dNative: depthwise,
    FusedDepthwiseConv2dNative: depthwise,
    MatMul: matmul,
    _FusedMatMul: matmul,
    Conv2DBackpropInput: transposed,
    BatchMatMul: matmul,
    BatchMatMulV2: matmul,
    FusedBatchNorm: batchNorm,
    FusedBatchNormV2: batchNorm,
    FusedBatchNormV3: batchNorm,
    MaxPool: pool('MaxPool'),
    AvgPool: pool('AveragePool'),
    ...rowsOf(['Mean', 'Sum', 'Max', 'Min', 'Prod'], (name) => reduction(`Reduce${name}`)),
    Add: elementwise('Add'),
    AddV2: elementwise('Add'),
    AddN: elementwise('Add'),
    BiasAdd: elementwise('Add'),
    Sub: elementwise('Sub'),
    Mul: elementwise('Mul'),
    RealDiv: elementwise('Div'),
    Div: elementwise('Div'),
    Maximum: elementwise('Max'),
    Minimum: elementwise('Min'),
    Pow: elementwise('Pow'),
    Prelu: elementwise('PRelu'),
    ...rowsOf(['Equal', 'Less', 'Greater'], elementwise),
    LessEqual: elementwise('LessOrEqual'),
    GreaterEqual: elementwise('GreaterOrEqual'),
    SquaredDifference: ({ name, inputs }, write) => {
      elementwise('Sub')({ name: `${name}/difference`, op: 'Sub', inputs, attributes: {} }, write);
      const difference = `${name}/difference`;
      write.emit('Mul', [difference, difference], {}, name);
      if (write.isFirst(difference)) write.markFirst(name);
    },
    ...rowsOf(SAME_NAMES, unary),
    Relu6: inPlace((x, node, write) => activated('Relu6', x, node, write, node.name)),
    LeakyRelu: unary('LeakyRelu', ({ attributes }) => ({
      alpha: { float: number(attributes, 'alpha', 0.2) },
    })),
    Inv: unary('Reciprocal'),
    Rsqrt: inPlace((x, { name }, write) => write.emit('Reciprocal', [write.emit('Sqrt', [x])], {}, name)),
    Square: inPlace((x, { name }, write) => write.emit('Mul', [x, x], {}, name)),
    ClipByValue: plain('Clip', ({ inputs }, write) => ({ inputs: inputs.slice(1).map(write.last) })),
    Cast: unary('Cast', ({ attributes }) => {
      const to = CASTS[typeOf(attributes, 'DstT')];
      if (to === undefined) throw new FormatError(`to ${typeOf(attributes, 'DstT')}`);
      return { to };
    }),
    Softmax: softmax('Softmax'),
    LogSoftmax: softmax('LogSoftmax'),
    Reshape: plain('Reshape', ({ inputs }, write) => ({
      inputs: [write.last(write.value(inputs, 1))],
      settings: { allowzero: 1 },
    })),
    Shape: plain('Shape'),
    Squeeze: plain('Squeeze', ({ attributes }, write) => {
      const axes = numbers(attributes, 'squeeze_dims');
      return { inputs: axes.length > 0 ? [write.numbers(axes)] : [] };
    }),
    ExpandDims: plain('Unsqueeze', ({ inputs }, write) => ({
      inputs: [write.numbers([write.one(inputs, 1)])],
    })),
    Transpose: plain('Transpose', ({ inputs }, write) => ({
      settings: { perm: write.numbersOf(inputs, 1).numbers },
    })),
    ArgMax: plain('ArgMax', ({ inputs }, write) => ({
      settings: { axis: write.one(inputs, 1), keepdims: 0 },
    })),
    DepthToSpace: ofMap((x, { name, attributes }, write) =>
      write.emit('DepthToSpace', [x], { blocksize: number(attributes, 'block_size', 2) }, name),
    ),
    Pad: pad,
    PadV2: pad,
    MirrorPad: pad,
    Concat: concat(0),
    ConcatV2: concat(-1),
    Pack: pack,
    Unpack: unpack,
    Split: split(({ attributes, inputs }, write) => ({
      value: 1,
      axis: write.one(inputs, 0),
      count: number(attributes, 'num_split', 1),
    })),
    SplitV: split(({ inputs }, write) => {
      const sizes = write.numbersOf(inputs, 1).numbers;
      return { value: 0, axis: write.one(inputs, 2), sizes, count: sizes.length };
    }),
    Tile: plain('Tile', ({ inputs }, write) => ({ inputs: [write.last(write.value(inputs, 1))] })),
    GatherV2: plain('Gather', ({ inputs }, write) => ({
      inputs: [write.last(write.value(inputs, 1))],
      settings: { axis: write.one(inputs, 2) },
    })),
    StridedSlice: stridedSlice,
    Slice: slice,
    ResizeBilinear: resize('linear'),
    ResizeNearestNeighbor: resize('nearest'),
  }),
);
