// The lifetime rule: what scopes free and keep, and that derivatives give back everything they took.

import test from 'tape';
import { gpuOf, run, write } from '../../engine/device.ts';
import {
  add,
  closeDevice,
  type Device,
  DisposedError,
  derivatives,
  exp,
  full,
  grad,
  indexTensor,
  matmul,
  mul,
  openDevice,
  relu,
  reshape,
  scale,
  scope,
  stopGradient,
  sum,
  type Tensor,
  tensor,
  toHost,
  valueAndGrad,
  vjp,
} from '../../engine/index.ts';
import { place } from '../../kernels/layout/layout.ts';
import { asClass, device } from '../device.ts';

/** How many bytes `body` leaves in use. */
function left(on: Device, body: () => unknown): number {
  const before = on.memory.liveBytes;
  body();
  return on.memory.liveBytes - before;
}

const values = async (x: Tensor) => [...(await x.data())];

test('memory: a tensor lives until it is disposed, once', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  const x = full(on, [1000], 1);
  t.ok(on.memory.liveBytes >= before + 4000, 'counted');
  x.dispose();
  t.equal(on.memory.liveBytes, before, 'given back');
  x.dispose();
  t.equal(on.memory.liveBytes, before, 'once only');
});

test('memory: views share storage until the last of them is disposed', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  const x = tensor(on, [1, 2, 3, 4], [4]);
  const one = on.memory.liveBytes - before;
  const y = reshape(x, [2, 2]);
  const z = stopGradient(y);
  t.equal(on.memory.liveBytes, before + one, 'no copy');
  x.dispose();
  y.dispose();
  t.deepEqual(await values(z), [1, 2, 3, 4], 'the last one reads');
  z.dispose();
  t.equal(on.memory.liveBytes, before, 'all given back');
});

test('memory: toHost reads tensors of any type, size and sharing at once', async (t) => {
  const on = await device();
  const { commands } = on;
  const x = tensor(on, [1, 2, 3], [3]);
  const y = reshape(x, [3, 1]);
  const none = tensor(on, [], [0]);
  const i = indexTensor(on, [5, 6, 7, 8], [4]);
  const z = mul(x, x);
  const before = on.memory.liveBytes;
  await toHost([]);
  await toHost([x, none, y, i, z]);
  t.equal(on.memory.liveBytes, before, 'nothing is left on the device');
  // Without its commands a device can read nothing: what is told now was there already.
  Object.assign(on, { commands: undefined });
  const read = await Promise.all([x, y, z, x].map(values));
  const indices = [...(await i.indices())];
  Object.assign(on, { commands });
  t.deepEqual(read, [
    [1, 2, 3],
    [1, 2, 3],
    [1, 4, 9],
    [1, 2, 3],
  ]);
  t.deepEqual(indices, [5, 6, 7, 8]);
  t.deepEqual(await values(none), [], 'no numbers');
  (await x.data()).fill(0);
  t.deepEqual(await values(x), [1, 2, 3], "what is given is the caller's own");
  for (const made of [x, y, none, i, z]) made.dispose();
  await z.data().then(
    () => t.fail('a disposed tensor was read'),
    (error) => t.ok(error instanceof DisposedError, String(error)),
  );
});

test('memory: what is written while it is read is read again', async (t) => {
  const on = await device();
  const x = tensor(on, [1, 2], [2]);
  const reading = toHost([x]);
  write(on, x.storage, Float32Array.of(3, 4));
  await reading;
  t.deepEqual(await values(x), [3, 4], 'written meanwhile');
  await toHost([x]);
  write(on, x.storage, Float32Array.of(5, 6));
  t.deepEqual(await values(x), [5, 6], 'written afterwards');
  x.dispose();
});

test('memory: copies of a storage do not outlive what it held', async (t) => {
  const on = asClass(await device(), 'software'); // kernels for GPUs read factors where they lie
  const n = 32;
  const x = full(on, [n, n], 1);
  const w = full(on, [n, n], 2);
  const other = full(on, [n, n], 3);
  const product = async () => {
    const y = matmul(w, x);
    const [first] = await values(y);
    y.dispose();
    return first;
  };
  t.equal(await product(), 2 * n, 'as it was');
  t.ok(w.storage.copies.size > 0, 'a factor is kept in the order of the kernel');
  await toHost([w]);
  run(on, place(1, [w.size, 0], 1, w.size, 0), [other.storage, other.storage], w.storage);
  t.equal(await product(), 3 * n, 'filled by a kernel');
  t.equal((await values(w))[0], 3, 'its numbers on the host too');
  write(on, w.storage, new Float32Array(n * n).fill(5));
  t.equal(await product(), 5 * n, 'written by the host');
  for (const made of [x, w, other]) made.dispose();
});

test('memory: reductions over no axis do not hand out their input', async (t) => {
  const on = await device();
  const x = tensor(on, [3], []);
  sum(x).dispose();
  sum(x, [], true).dispose();
  t.deepEqual(await values(x), [3]);
  x.dispose();
});

test('memory: a scope keeps what it returns, in any container, and frees the rest', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  const { list, map } = scope(() => {
    const x = full(on, [3], 1);
    const lost = add(x, x);
    return { list: [x, [mul(lost, lost)]] as const, map: new Map([['y', scale(lost, 3)]]), other: 'text' };
  });
  const kept = [list[0], list[1][0]!, map.get('y')!];
  t.deepEqual(await Promise.all(kept.map(values)), [
    [1, 1, 1],
    [4, 4, 4],
    [6, 6, 6],
  ]);
  for (const x of kept) x.dispose();
  t.equal(on.memory.liveBytes, before, 'nothing else was kept');
});

test('memory: what a nested scope returns belongs to the scope outside', async (t) => {
  const on = await device();
  let inner: Tensor | undefined;
  let outside: Tensor | undefined;
  const bytes = left(on, () => {
    scope(() => {
      outside = full(on, [5], 2);
      inner = scope(() => add(full(on, [5], 1), outside!));
      t.equal(inner.storage.references, 1, 'alive between the scopes');
    });
  });
  t.equal(bytes, 0);
  t.throws(() => inner!.storage, /disposed/, 'freed with the outer scope');
  t.throws(() => outside!.storage, /disposed/);
});

test('memory: a tensor disposed inside its scope is not freed twice', async (t) => {
  const on = await device();
  t.equal(
    left(on, () => {
      scope(() => {
        const x = full(on, [5], 2);
        scope(() => x.dispose());
        x.dispose();
      });
    }),
    0,
  );
});

test('memory: a scope frees what was made before its body threw, and the outer scope goes on', async (t) => {
  const on = await device();
  const bytes = left(on, () => {
    scope(() => {
      t.throws(() =>
        scope(() => {
          add(full(on, [5], 1), full(on, [5], 1));
          throw new Error('on purpose');
        }),
      );
      full(on, [3], 1);
    });
  });
  t.equal(bytes, 0);
});

test('memory: an operation that is refused takes nothing', async (t) => {
  const on = await device();
  const x = full(on, [2, 3], 1);
  const y = full(on, [4], 1);
  t.equal(
    left(on, () => t.throws(() => add(x, y))),
    0,
  );
  x.dispose();
  y.dispose();
});

test('memory: buffers are reused through the pool', async (t) => {
  const on = await device();
  scope(() => full(on, [777], 1)).dispose();
  const { pooledBytes } = on.memory;
  const x = full(on, [777], 2);
  t.ok(on.memory.pooledBytes < pooledBytes, 'taken from the pool');
  x.dispose();
  t.equal(on.memory.pooledBytes, pooledBytes, 'and put back');
});

test('memory: a reused buffer holds the new numbers although commands on the old ones wait', async (t) => {
  const on = await device();
  const first = tensor(on, [1, 2, 3], [3]);
  const doubled = scale(first, 2);
  first.dispose();
  const second = tensor(on, [7, 8, 9], [3]);
  t.deepEqual(await values(doubled), [2, 4, 6]);
  t.deepEqual(await values(second), [7, 8, 9]);
  doubled.dispose();
  second.dispose();
});

const f = (x: Tensor) => sum(mul(exp(x), relu(x)));

test('memory: gradients of every order leave nothing behind', async (t) => {
  const on = await device();
  const x = full(on, [17], 0.5);
  const cube = (y: Tensor) => sum(mul(mul(y, y), exp(y)));
  for (const [name, run] of [
    ['grad', () => grad(f)(x).dispose()],
    ['grad of grad', () => grad((y) => sum(grad(cube)(y)))(x).dispose()],
    ['third order', () => grad((z) => sum(grad((y) => sum(grad(cube)(y)))(z)))(x).dispose()],
    ['three orders at once', () => derivatives((y) => mul(y, exp(y)), x, 3)],
    [
      'valueAndGrad of two',
      () => {
        const { value, gradients } = valueAndGrad((a, b) => sum(mul(a, b)), [x, x]);
        for (const made of [value, ...gradients]) made.dispose();
      },
    ],
    [
      'an input that is not used',
      () => valueAndGrad((a, b) => sum(scope(() => add(a, stopGradient(b)))), [x, x]),
    ],
  ] as const) {
    t.equal(
      left(on, () => scope(() => void run())),
      0,
      name,
    );
  }
  x.dispose();
});

test('memory: a repeated computation gets its buffers again, and makes no bind groups anew', async (t) => {
  const on = await device();
  const x = full(on, [17], 0.5);
  const once = () =>
    scope(() => {
      // Freed in another order than made: a pool that gave out the latest first would permute them.
      const [a, b, c] = [exp(x), scale(x, 2), relu(x)];
      const d = mul(a, b);
      b.dispose();
      const e = add(d, c);
      a.dispose();
      grad((y) => sum(mul(exp(y), e)))(x);
    });
  once();
  const { groups } = on.commands!;
  for (let i = 0; i < 20; i++) once();
  t.equal(on.commands!.groups, groups);
  x.dispose();
});

test('memory: grad outside every scope keeps its result only', async (t) => {
  const on = await device();
  const before = on.memory.liveBytes;
  const x = full(on, [17], 0.5);
  const one = on.memory.liveBytes - before;
  const g = grad(f)(x);
  t.equal(on.memory.liveBytes, before + 2 * one);
  const orders = derivatives((y) => mul(y, exp(y)), x, 3);
  t.equal(on.memory.liveBytes, before + 6 * one);
  for (const made of [x, g, ...orders]) made.dispose();
  t.equal(on.memory.liveBytes, before);
});

test('memory: a function that throws while derivatives are taken leaves nothing and turns recording off', async (t) => {
  const on = await device();
  const x = full(on, [3], 1);
  const bytes = left(on, () => {
    t.throws(() =>
      grad((y) => {
        exp(mul(y, y));
        throw new Error('on purpose');
      })(x),
    );
  });
  t.equal(bytes, 0);
  const y = exp(x);
  t.equal(y.node, undefined, 'no longer recording');
  x.dispose();
  y.dispose();
});

test('memory: the tape is freed with the value', async (t) => {
  const on = await device();
  const x = full(on, [1000], 0.5);
  const before = on.memory.liveBytes;
  scope(() => {
    const { value, pullback } = scope(() => {
      const made = vjp((y) => sum(mul(exp(y), exp(y))), [x]);
      return { value: made.value, pullback: made.pullback };
    });
    t.ok(on.memory.liveBytes > before + 4000, 'the value holds what its derivative needs');
    const one = full(on, [], 1);
    for (const g of [...pullback(one), ...pullback(one)]) g.dispose(); // as often as wanted
    one.dispose();
    value.dispose();
    t.equal(on.memory.liveBytes, before, 'and gives it back');
  });
  x.dispose();
});

test('memory: the pullback gives the same gradient each time', async (t) => {
  const on = await device();
  const x = tensor(on, [1, 2, 3], [3]);
  const found = scope(() => {
    const { pullback } = vjp((y) => mul(y, y), [x]);
    const weights = tensor(on, [1, 10, 100], [3]);
    return [...pullback(weights), ...pullback(weights)];
  });
  for (const g of found) t.deepEqual(await values(g), [2, 40, 600]);
  for (const g of [...found, x]) g.dispose();
});

test('memory: ten thousand steps of gradient descent take no more than one', async (t) => {
  const on = await device();
  const target = tensor(on, [3, -1, 2], [3]);
  const step = (w: Tensor) =>
    scope(() => {
      const g = grad((v) => {
        const error = add(v, scale(target, -1));
        return sum(mul(error, error));
      })(w);
      const next = add(w, scale(g, -0.01));
      w.dispose();
      return next;
    });
  let w = step(full(on, [3], 0));
  const { liveBytes } = on.memory;
  let most = 0;
  for (let i = 1; i < 10_000; i++) {
    w = step(w);
    most = Math.max(most, Math.abs(on.memory.liveBytes - liveBytes));
  }
  t.equal(most, 0, 'live bytes never move');
  const reached = await values(w);
  t.ok(
    reached.every((value, i) => Math.abs(value - [3, -1, 2][i]!) < 1e-4),
    `and the steps were taken: ${reached}`,
  );
  w.dispose();
  target.dispose();
});

test('reads: one after the other through the same buffer, at once each through its own', async (t) => {
  const on = await openDevice();
  const gpu = gpuOf(on);
  const made: GPUBuffer[] = [];
  const { createBuffer } = gpu;
  Reflect.set(gpu, 'createBuffer', (descriptor: GPUBufferDescriptor) => {
    const buffer = createBuffer.call(gpu, descriptor);
    if (descriptor.usage & GPUBufferUsage.MAP_READ) made.push(buffer);
    return buffer;
  });
  const values = (n: number, first: number) => Float32Array.from({ length: n }, (_, i) => first + i);
  const tensors = [3, 700, 1024, 5].map((n, i) => tensor(on, values(n, 100 * i), [n]));
  for (const [i, x] of tensors.entries())
    t.deepEqual(await scale(x, 1).data(), values(x.size, 100 * i), `${x.size} numbers`);
  t.equal(made.length, 1, 'one buffer');
  const found = await Promise.all([1, 2, 3].map((k) => scale(tensors[0]!, k).data()));
  t.deepEqual(
    found.map((v) => [...v]),
    [1, 2, 3].map((k) => [0, k, 2 * k]),
    'at once',
  );
  t.equal(made.length, 3, 'three buffers');
  t.equal(made.filter(({ mapState }) => mapState === 'unmapped').length, 3, 'none is left mapped');
  closeDevice(on);
});
