// What is refused, and that each message names the operation and the shapes.

import test, { type Test } from 'tape';
import * as engine from '../../engine/index.ts';
import {
  DisposedError,
  full,
  indexTensor,
  LimelightError,
  MemoryBudgetError,
  ScopeError,
  ShapeError,
  scope,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import { allocate, createMemory, release, retain, trim } from '../../engine/memory.ts';
import { device } from '../device.ts';

type Class = new (...args: never[]) => Error;

/** Asserts that `run` throws exactly this class, with every one of `parts` in the message. */
function refuses(t: Test, run: () => unknown, type: Class, parts: readonly string[]): void {
  try {
    run();
  } catch (error) {
    t.ok(error instanceof type, String(error));
    const { message } = error as Error;
    for (const part of parts) t.ok(message.includes(part), `"${message}" says ${part}`);
    return;
  }
  t.fail(`nothing was thrown: ${parts.join(' ')}`);
}

test('errors: shapes that do not fit name the operation and the shapes', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  scope(() => {
    const of = (...shape: number[]) => full(on, shape, 1);
    const rows: [() => Tensor, ...string[]][] = [
      [() => engine.add(of(2, 3), of(4)), 'add', '[2, 3]', '[4]'],
      [() => engine.maximum(of(2), of(3)), 'max', '[2]', '[3]'],
      [() => engine.matmul(of(2, 3), of(4, 5)), 'matmul', '[2, 3]', '[4, 5]', '3 and 4'],
      [() => engine.matmul(of(3), of(3, 2)), 'matmul', '[3]', '[3, 2]'],
      [() => engine.matmul(of(2, 1, 1), of(3, 1, 1)), 'matmul', '[2]', '[3]'],
      [() => engine.matmul(of(2, 1, 1, 1), of(1, 3, 1, 1)), 'matmul', '[2, 1]', '[1, 3]'],
      [() => engine.conv2d(of(1, 3, 5, 5), of(2, 4, 3, 3)), 'conv2d', '[1, 3, 5, 5]', '[2, 4, 3, 3]'],
      [() => engine.conv2d(of(3, 5, 5), of(2, 3, 3, 3)), 'conv2d', '[3, 5, 5]', 'four axes'],
      [() => engine.conv2d(of(1, 3, 2, 2), of(2, 3, 3, 3)), 'conv2d', '[1, 3, 2, 2]', 'larger'],
      [() => engine.conv2d(of(1, 1, 5, 5), of(1, 1, 3, 3), { stride: [0, 1] }), 'conv2d', 'stride'],
      [() => engine.conv2d(of(1, 1, 5, 5), of(1, 1, 3, 3), { padding: [0.5, 0, 0, 0] }), 'conv2d', 'padding'],
      [
        () => engine.conv2d(of(1, 4, 5, 5), of(3, 2, 3, 3), { groups: 2 }),
        'conv2d',
        '[3, 2, 3, 3]',
        '2 groups',
      ],
      [
        () => engine.conv2d(of(1, 1, 5, 5), of(2, 1, 3, 3), {}, { bias: of(3) }),
        'bias',
        '[3]',
        '[1, 2, 3, 3]',
      ],
      [
        () => engine.convTranspose2d(of(1, 2, 3, 3), of(2, 1, 3, 3), [9, 9]),
        'convTranspose2d',
        '[1, 2, 7, 7]',
        '[1, 2, 3, 3]',
      ],
      [() => engine.maxPool2d(of(1, 1, 2, 2), { kernel: [3, 3] }), 'maxPool2d', '[1, 1, 2, 2]', '[3, 3]'],
      [() => engine.avgPool2d(of(2, 2), { kernel: [1, 1] }), 'avgPool2d', '[2, 2]', 'four axes'],
      [
        () => engine.maxPool2d(of(1, 1, 4, 4), { kernel: [2, 2], padding: [2, 0, 0, 0] }),
        'maxPool2d',
        '[2, 0, 0, 0]',
      ],
      [() => engine.avgPool2d(of(1, 1, 4, 4), { kernel: [2, 0] }), 'avgPool2d', '[2, 0]'],
      [
        () => engine.maxPool2d(of(1, 1, 1, 1), { kernel: [2, 2], padding: [1, 1, 1, 1], dilation: [2, 2] }),
        'maxPool2d',
        '[1, 1, 1, 1]',
        'window 0 along y has no pixel',
      ],
      [
        () =>
          engine.maxPool2d(of(1, 1, 9, 2), {
            kernel: [1, 2],
            stride: [1, 1],
            padding: [0, 2, 0, 2],
            dilation: [1, 4],
          }),
        'maxPool2d',
        'window 0 along x has no pixel',
      ],
      [() => engine.maxPool2d(of(1, 1, 0, 5), { kernel: [1, 1] }), 'maxPool2d', '[1, 1, 0, 5]', 'no pixels'],
      [() => engine.avgPool2d(of(1, 1, 5, 0), { kernel: [1, 1] }), 'avgPool2d', 'no pixels'],
      [
        () => engine.maxPool2d(of(1, 1, 4, 4), { kernel: [2, 2], padding: [0.5, 0, 0, 0] }),
        'maxPool2d',
        'whole numbers',
      ],
      [
        () => engine.avgPool2d(of(1, 1, 5, 5), { kernel: [2, 2], dilation: [2, 1] }),
        'avgPool2d',
        'dilation of [2, 1]',
      ],
      [() => engine.reshape(of(2, 3), [4, 2]), 'reshape', '[2, 3]', '[4, 2]'],
      [() => engine.reshape(of(2, 3), [4, -1]), 'reshape', '[2, 3]'],
      [() => engine.reshape(of(0, 3), [0, -1]), 'reshape', '[0, 3]'],
      [() => engine.reshape(of(2, 3), [-2, -3]), 'reshape', '[2, 3]'],
      [() => engine.transpose(of(2, 3), [0, 0]), 'transpose', '[0, 0]', '[2, 3]'],
      [() => engine.transpose(of(2, 3), [0]), 'transpose', '[0]', '[2, 3]'],
      [() => engine.broadcastTo(of(2, 3), [2, 4]), 'broadcast', '[2, 3]', '[2, 4]'],
      [() => engine.slice(of(2, 3), [0], [1]), 'slice', '[2, 3]'],
      [() => engine.slice(of(2), [0], [1], [0]), 'slice', '[2]', 'non-zero'],
      [
        () => engine.stridedWindow(of(2, 3), [0, 0], [1, 0], [2, 3]),
        'stridedWindow',
        '[2, 3]',
        'non-zero steps',
      ],
      [() => engine.narrow(of(2, 3), 1, 2, 2), 'narrow', '[2, 3]', '2..4'],
      [() => engine.pad(of(2, 3), [1], [1]), 'pad', '[2, 3]'],
      [() => engine.pad(of(2), [-3], [0]), 'pad', '[2]', '[-1]'],
      [() => engine.concat([of(2, 3), of(3, 2)], 0), 'concat', '[2, 3]', '[3, 2]'],
      [() => engine.concat([], 0), 'concat', 'nothing'],
      [() => engine.sum(of(2, 3), [2]), 'sum', '[2, 3]', 'axis 2'],
      [() => engine.mean(of(2, 3), [-3]), 'mean', '[2, 3]', 'axis -3'],
      [() => engine.max(of(2, 0), [1]), 'max', '[2, 0]', 'empty'],
      [() => engine.mean(of(3, 0), [1]), 'mean', '[1]', '[3, 0]', 'nothing'],
      [() => engine.mean(of(0)), 'mean', '[0]', 'nothing'],
      [() => engine.globalAvgPool(of(1, 2, 0, 3)), 'mean', '[1, 2, 0, 3]'],
      [() => engine.attentionProbabilities(of(2, 3), 1), 'attention', '[2, 3]', '3 D'],
      [() => engine.attentionProbabilities(of(1, 2, 12), 3), 'attention', '[1, 2, 12]', '3 heads'],
      [() => engine.attentionProbabilities(of(1, 2, 12), 0), 'attention', '0 heads'],
      [() => engine.attentionMix(of(1, 2, 3, 3), of(1, 2, 12), 2), 'attention', '[1, 2, 3, 3]', '[1, 2, 12]'],
      [() => engine.linear(of(2, 3), of(4, 2)), 'matmul', '[2, 3]', '[4, 2]'],
      [() => engine.linear(of(2, 3), of(3)), 'linear', '[3]', 'two axes'],
      [() => engine.linear(of(2, 3), of(4, 3), { bias: of(3) }), 'bias', '[3]', '[2, 4]'],
      [() => engine.layerNorm(of(2, 0), of(0), of(0)), 'layerNorm', '[2, 0]', 'mean'],
      [() => engine.layerNorm(of(2, 3), of(3), of(1)), 'layerNorm', '[2, 3]', '[1]'],
      [() => engine.layerNorm(of(), of(), of()), 'layerNorm', '[]'],
      [() => engine.crossEntropy(of(0, 3), of(0, 3)), 'crossEntropy', '[0, 3]'],
      [() => engine.binaryCrossEntropy(of(0, 3), of(0, 3)), 'mean', '[0, 3]'],
      [() => engine.batchNormTraining(of(0, 3), of(3), of(3)).output, 'batchNormTraining', '[0, 3]'],
      [() => engine.argmax(of(), 0), 'argmax', '[]', 'axis 0'],
      [() => engine.softmax(of(2, 3), 2), 'softmax', '[2, 3]', 'axis 2'],
      [() => engine.logSoftmax(of(2, 3), 0.5), 'logSoftmax', '[2, 3]', 'axis 0.5'],
      [() => engine.gather(of(2, 3), indexTensor(on, [0], [1]), 3), 'gather', '[2, 3]', 'axis 3'],
      [() => engine.select(of(2, 3), indexTensor(on, [0], [1]), 1), 'select', '[2, 3]', '[1]'],
      [() => engine.gather(of(2, 3), indexTensor(on, [0, 2], [2]), 0), 'gather', 'index may be 2', 'are 2'],
      [() => engine.gather(of(0, 3), indexTensor(on, [0], [1]), 0), 'gather', 'index may be 0', 'are 0'],
      [() => engine.gather(of(2, 3), engine.argmax(of(3, 4), 1), 1), 'gather', 'index may be 3', 'are 3'],
      [() => engine.select(of(2, 3), indexTensor(on, [0, 3], [2]), 1), 'select', 'index may be 3', 'are 3'],
      [
        () => engine.gather(of(2), engine.reshape(indexTensor(on, [0, 9], [2, 1]), [2]), 0),
        'gather',
        'index may be 9',
      ],
      [() => indexTensor(on, [0, -1], [2]), 'indexTensor', '-1 at 1'],
      [() => indexTensor(on, [1.5], [1]), 'indexTensor', '1.5 at 0'],
      [() => indexTensor(on, [Number.NaN], [1]), 'indexTensor', 'NaN'],
      [() => indexTensor(on, [2 ** 32], [1]), 'indexTensor', '4294967296'],
      [() => engine.upsample(of(2, 3), [4, 4]), 'upsample', '[2, 3]', '[4, 4]'],
      [() => engine.upsample(of(1, 1, 2, 3), [0, 4]), 'upsample', '[1, 1, 2, 3]', '[0, 4]'],
      [() => engine.crossEntropy(of(2, 3), of(2, 4)), 'crossEntropy', '[2, 3]', '[2, 4]'],
      [() => engine.oneHot(of(1), [0, 3], 3), 'oneHot', 'label 3', '3 classes'],
      [() => engine.scaleShift(of(1, 3, 2), of(2), of(3)), 'scale and shift', '[2]', '[1, 3, 2]'],
      [() => engine.planeDot(of(4, 3, 2), of(2, 3, 2)), 'dot product', '[4, 3, 2]', '[2, 3, 2]'],
      [() => engine.planeDot(of(4, 3, 2), of(1, 3, 3)), 'dot product', '[1, 3, 3]'],
      [() => engine.divideByMaxNorm(of(2, 0)), 'divideByMaxNorm', '[2, 0]'],
      [
        () => engine.maskImages(of(1, 3, 4, 4), of(2, 1, 2, 2), of(2), of(2)),
        'mask',
        '[1, 3, 4, 4]',
        '[2, 1, 2, 2]',
      ],
      [() => engine.maskImages(of(1, 3, 4, 4), of(2, 1, 4, 4), of(2), of(3)), 'mask', '[3]'],
      [() => tensor(on, [1, 2, 3], [2, 2]), 'tensor', '3 numbers', '[2, 2]'],
      [() => tensor(on, [1], [-1, -1]), 'tensor', '[-1, -1]'],
      [() => tensor(on, [1], [0.5, 2]), 'tensor', '[0.5, 2]'],
    ];
    for (const [run, ...parts] of rows) refuses(t, run, ShapeError, parts);
  });
  t.equal(on.memory.liveBytes, before, 'and nothing is left behind');
});

test('errors: indices and numbers are not taken for each other', async (t) => {
  const on = await device();
  const indices = indexTensor(on, [1, 0], [2]);
  const numbers = tensor(on, [1, 0], [2]);
  for (const [read, says] of [
    [() => indices.data(), 'use indices()'],
    [() => numbers.indices(), 'use data()'],
  ] as const) {
    await read().then(
      () => t.fail('was read'),
      (error: Error) => {
        t.equal(error.constructor, ShapeError);
        t.ok(error.message.includes(says), error.message);
      },
    );
  }
  t.deepEqual([...(await indices.indices())], [1, 0]);
  for (const [run, ...parts] of [
    [() => engine.exp(indices), 'exp', 'input 0', 'u32', 'f32 is needed'],
    [() => engine.add(numbers, indices), 'add', 'input 1', '[2]'],
    [() => engine.narrow(indices, 0, 1, 1), 'strided copy', 'input 0'],
    [() => engine.gather(numbers, numbers, 0), 'gather', 'input 1', 'u32 is needed'],
    [() => engine.select(numbers, tensor(on, [0], []), 0), 'select', 'input 1', 'u32 is needed'],
  ] as const) {
    refuses(t, () => scope(run), ShapeError, parts);
  }
  const column = engine.reshape(indices, [2, 1]);
  t.deepEqual([...(await column.indices())], [1, 0], 'a view keeps the type');
  column.dispose();
  indices.dispose();
  numbers.dispose();
});

test('errors: only one number has a gradient', async (t) => {
  const on = await device();
  scope(() => {
    const x = full(on, [2, 3], 1);
    refuses(t, () => engine.grad((y) => engine.exp(y))(x), ShapeError, ['grad', '[2, 3]', 'one number']);
    const { pullback } = engine.vjp((y) => engine.exp(y), [x]);
    refuses(t, () => pullback(full(on, [3, 2], 1)), ShapeError, ['pullback', '[3, 2]', '[2, 3]']);
  });
});

test('errors: a disposed tensor says so', async (t) => {
  const on = await device();
  const x = full(on, [2, 3], 1);
  x.dispose();
  refuses(t, () => engine.exp(x), DisposedError, ['[2, 3]', 'disposed', 'scope']);
  refuses(t, () => engine.reshape(x, [6]), DisposedError, ['[2, 3]']);
  refuses(t, () => engine.grad((y) => engine.sum(y))(x), DisposedError, ['[2, 3]']);
  await x.data().then(
    () => t.fail('was read'),
    (error: Error) => t.equal(error.constructor, DisposedError, error.message),
  );
  t.ok(new DisposedError('') instanceof LimelightError, 'a typed error');
});

test('errors: a scope whose body is asynchronous is refused, and frees what it made', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  const run = () =>
    scope(() => {
      full(on, [3], 1);
      return Promise.resolve(1);
    });
  refuses(t, run, ScopeError, ['scope', 'promise', 'await']);
  t.equal(on.memory.liveBytes, before);
  let ran = false;
  const body = async () => {
    ran = true;
  };
  refuses(t, () => scope(body), ScopeError, ['asynchronous', 'await']);
  refuses(t, () => engine.grad(body as never)(full(on, [1], 1)), ScopeError, ['grad', 'asynchronous']);
  t.notOk(ran, 'asynchronous functions are refused before they run');
  // One that is lost would end the process with an unhandled rejection.
  const failing = () => ({ later: [Promise.reject(new Error('nobody hears it'))] });
  refuses(t, () => scope(failing), ScopeError, ['promise']);
  const late = () => Promise.reject(new Error('nor this'));
  refuses(t, () => engine.grad(late as never)(full(on, [1], 1)), ScopeError, ['grad', 'promise']);
  await new Promise((done) => setTimeout(done, 0));
});

test('errors: what a scope returns may lead round to itself', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  interface Ring {
    next?: Ring;
    readonly kept: Tensor;
  }
  const ring = scope((): Ring => {
    full(on, [3], 1);
    const one: Ring = { kept: full(on, [3], 2) };
    one.next = { kept: full(on, [3], 4), next: one };
    return one;
  });
  t.deepEqual([...(await ring.next!.kept.data())], [4, 4, 4]);
  ring.kept.dispose();
  ring.next!.kept.dispose();
  t.equal(on.memory.liveBytes, before);
});

/** A device of 1 MiB buffers that counts what is made and destroyed. */
function countedMemory(settle: () => Promise<unknown>, ceiling = Number.POSITIVE_INFINITY) {
  const counts = { made: 0, destroyed: 0 };
  const create = (size: number) => {
    counts.made++;
    return { size, destroy: () => counts.destroyed++ } as unknown as GPUBuffer;
  };
  return {
    memory: createMemory({
      budget: 2 ** 20,
      bound: 'a test',
      ceiling,
      largest: 2 ** 20,
      binding: 2 ** 20,
      create,
      settle,
    }),
    counts,
  };
}

test('errors: the memory budget', (t) => {
  let settled = 0;
  const { memory, counts } = countedMemory(async () => settled++);
  const half = allocate(memory, 2 ** 19, 'first');
  retain(half);
  const more = allocate(memory, 2 ** 18, 'second');
  retain(more);
  refuses(t, () => allocate(memory, 2 ** 19, 'conv2d'), MemoryBudgetError, [
    'conv2d',
    '0.5 MiB more',
    'budget of 1.0 MiB',
    '0.8 MiB in use',
    'memoryBudget',
  ]);
  t.equal(memory.liveBytes, 2 ** 19 + 2 ** 18, 'a refusal takes nothing');
  refuses(t, () => allocate(memory, 2 ** 20 + 4, 'tensor'), MemoryBudgetError, [
    'tensor',
    'binds at once',
    '1.0 MiB',
  ]);

  release(half);
  t.deepEqual([memory.liveBytes, memory.pooledBytes], [2 ** 18, 2 ** 19]);
  const before = counts.made;
  retain(allocate(memory, 2 ** 19, 'again'));
  t.equal(counts.made, before, 'from the pool');
  t.equal(memory.pooledBytes, 0);

  release(more);
  const waited = settled;
  const other = allocate(memory, 2 ** 17, 'other size');
  retain(other);
  t.equal(counts.destroyed, 0, 'the pool stays while both fit');
  retain(allocate(memory, 2 ** 18, 'pooled size'));
  refuses(t, () => allocate(memory, 2 ** 18, 'too much'), MemoryBudgetError, ['too much']);
  t.equal(settled, waited, 'where nothing is pooled, nothing is waited for');
  release(other);
  retain(allocate(memory, 3 * 2 ** 16, 'larger'));
  t.equal(counts.destroyed, 1, 'the pool goes where both do not fit');
  t.ok(settled > waited, 'commands are sent before buffers are destroyed');
  trim(memory);
  t.equal(memory.pooledBytes, 0);
  t.end();
});

test('errors: destroyed buffers count until the device has caught up', async (t) => {
  let catchUp = () => {};
  const caughtUp = new Promise<void>((resolve) => {
    catchUp = resolve;
  });
  const { memory, counts } = countedMemory(() => caughtUp, 1.5 * 2 ** 20);
  for (const bytes of [2 ** 20, 2 ** 19]) {
    const one = allocate(memory, bytes, 'some');
    retain(one);
    release(one);
  }
  t.deepEqual([counts.destroyed, memory.pooledBytes, memory.destroyedBytes], [1, 2 ** 19, 2 ** 20]);
  refuses(t, () => allocate(memory, 2 ** 18, 'more'), MemoryBudgetError, [
    'more',
    '1.5 MiB',
    '1.0 MiB until the device has caught up',
  ]);
  t.equal(memory.liveBytes, 0, 'a refusal takes nothing');
  retain(allocate(memory, 2 ** 19, 'of the pool'));
  catchUp();
  await caughtUp;
  t.equal(memory.destroyedBytes, 0);
  retain(allocate(memory, 2 ** 18, 'more'));
  t.equal(memory.liveBytes, 2 ** 19 + 2 ** 18);
});

test('errors: the pool is given up before an allocation is refused', (t) => {
  const { memory, counts } = countedMemory(async () => {});
  const first = allocate(memory, 2 ** 19, 'first');
  retain(first);
  release(first);
  const large = allocate(memory, 2 ** 20, 'large');
  t.deepEqual([counts.made, counts.destroyed, memory.pooledBytes], [2, 1, 0]);
  t.equal(memory.liveBytes, large.size);
  t.end();
});
