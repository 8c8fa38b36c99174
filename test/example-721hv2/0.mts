import test from 'tape';
import { closeDevice, open, openDevice, tensor, verify } from 'file:///tmp/wt/gpu/index.ts';

test('what must hold on the network holds', async (t) => {
  const device = await openDevice();
  const network = await open(device, 'digit-scenes');
  const picture = tensor(device, Float32Array.from({ length: 64 * 64 }, Math.random), [1, 1, 64, 64]);
  for (const { sentence, holds } of await verify(network, picture)) if (holds !== null) t.ok(holds, sentence);
  closeDevice(device);
});
