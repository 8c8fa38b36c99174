// Streams that cannot be written, and machines that lack something: one line that says what, the exit code as it is
// documented, and nothing half-written.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { flags, hasStack, inFolder, scene } from '../app/limelight.ts';

const program = [process.execPath, ...flags].map((part) => `'${part}'`).join(' ');

/** Runs a script of the shell in which $LIMELIGHT is the program and $SCENE a picture. */
function sh(script: string, env: NodeJS.ProcessEnv = {}) {
  const text = script.replaceAll('$LIMELIGHT', program).replaceAll('$SCENE', `'${scene}'`);
  return spawnSync('sh', ['-c', text], {
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, ...env },
  });
}

const can = (script: string): boolean => sh(script).status === 0;
const onlyLinux = { skip: process.platform === 'linux' ? false : 'needs /dev/full and mounts' };
const asRoot = { skip: can('unshare -m true') ? false : 'needs the right to mount' };

test('a full standard output is a failure of one line', onlyLinux, (t) => {
  for (const command of [
    'models',
    'inspect digit-dense',
    '--help',
    'explain $SCENE --json --method grad-cam',
  ])
    inFolder((out) => {
      const where = command.startsWith('explain') ? `--out '${out}'` : '';
      const { status, stderr } = sh(`$LIMELIGHT ${command} ${where} >/dev/full`);
      t.equal(status, 1, command);
      t.match(stderr, /^limelight: no space is left on the disk/m);
      t.notOk(hasStack(stderr), 'no stack');
    });
  t.end();
});

test(
  'an error stream that is full, closed, or no longer read does not stop the work',
  onlyLinux,
  async (t) => {
    for (const stream of ['2>/dev/full', '2>&-', '2>&1 >&3 | true']) {
      await inFolder((out) => {
        const script = `{ { $LIMELIGHT explain $SCENE --method grad-cam --json --out '${out}'; echo $? >&4; } ${stream}; } 3>&1 4>&1`;
        const { stdout } = sh(script);
        t.match(stdout, /^\{"image".*\}$/m, stream);
        t.match(stdout, /^0$/m, 'done');
        t.deepEqual(readdirSync(out), ['scene-1.grad-cam.2.png']);
      });
    }
  },
);

test('a closed standard output', onlyLinux, (t) => {
  const { status, stderr } = sh('$LIMELIGHT models >&-');
  t.equal(status, 0);
  t.equal(stderr, '');
  t.end();
});

test('few files may be open', onlyLinux, (t) =>
  inFolder((out) => {
    const { status, stderr } = sh(`ulimit -n 64; $LIMELIGHT explain $SCENE --method grad-cam --out '${out}'`);
    // How many Node opens at once while it loads the program is its own affair; the kernels are read one by one.
    if (status !== 0) t.match(stderr, /^limelight: .*ulimit -n 256/m);
    t.notOk(hasStack(stderr), `${status}: ${stderr}`);
  }),
);

test('in a worker thread a device opens, or it is said how', onlyLinux, (t) => {
  const module = JSON.stringify(new URL('../../engine/index.ts', import.meta.url));
  const body = `
    import("tsx/esm/api")
      .then(({ register }) => register())
      .then(() => import(${module}))
      .then(async ({ closeDevice, openDevice }) => closeDevice(await openDevice()))
      .then(() => console.log("opened"), ({ name, message }) => console.log(name, message));
  `;
  const script = (options: string) => `
    const { SHARE_ENV, Worker: Thread } = require("node:worker_threads");
    new Thread(${JSON.stringify(body)}, { eval: true, ${options} });
  `;
  const run = (options: string) =>
    spawnSync(process.execPath, ['--conditions=source', '--import', 'tsx', '-e', script(options)], {
      encoding: 'utf8',
    }).stdout.trim();
  t.equal(run('env: SHARE_ENV'), 'opened');
  t.match(
    run(''),
    /^opened$|^NoDeviceError [\s\S]*To mend it: open the device on the main thread, or start the/,
  );
  t.end();
});

test('any user of a container, without a home and without a name', asRoot, (t) => {
  const out = mkdtempSync(join(tmpdir(), 'limelight-'));
  chmodSync(out, 0o777);
  const user = 'setpriv --reuid 54321 --regid 54321 --clear-groups env -u HOME -u XDG_CACHE_HOME';
  const listed = sh(`${user} $LIMELIGHT models`);
  t.equal(listed.status, 0);
  t.match(listed.stdout, /fetched weights are kept in \/\.cache\/limelight/);
  const offline = 'HF_ENDPOINT=http://127.0.0.1:1';
  const fetched = sh(`${user} ${offline} $LIMELIGHT explain $SCENE --model resnet18 --out ${out}`);
  t.equal(fetched.status, 1);
  t.match(fetched.stderr, /cannot keep .* in the cache folder .*; set LIMELIGHT_CACHE/);
  t.notOk(hasStack(fetched.stderr));
  const explained = sh(`${user} $LIMELIGHT explain $SCENE --method grad-cam --out ${out}`);
  t.equal(explained.status, 0, explained.stderr);
  t.deepEqual(readdirSync(out), ['scene-1.grad-cam.2.png']);
  rmSync(out, { recursive: true });
  rmSync(join(tmpdir(), 'limelight-54321'), { recursive: true, force: true });
  t.end();
});

test('disks without space, without inodes, read-only, and no /tmp', asRoot, (t) => {
  const explain = '$LIMELIGHT explain $SCENE --method grad-cam --raw';
  const places: readonly (readonly [about: string, script: string, message: RegExp])[] = [
    ['no space', 'mount -t tmpfs -o size=4k none $AT', /cannot write .*no space is left on the disk/],
    ['no inodes', 'mount -t tmpfs -o nr_inodes=1 none $AT', /cannot write .*no space is left on the disk/],
    ['read-only', 'mount -t tmpfs -o ro none $AT', /cannot write .*read-only/],
  ];
  for (const [about, mount, message] of places) {
    inFolder((at) => {
      const script = `${mount.replace('$AT', at)} && ${explain} --out '${at}'; echo \\$?; ls -A '${at}'`;
      const { stdout, stderr } = sh(`unshare -m sh -c "${script.replaceAll('"', '\\"')}"`);
      t.equal(stdout.trim(), '1', `${about}: it fails, and nothing is there`);
      t.match(stderr, message);
      t.notOk(hasStack(stderr));
    });
  }
  inFolder((at) => {
    const { status, stderr } = sh(`${explain} --out '${at}'`, { TMPDIR: join(at, 'none') });
    t.equal(status, 0, `no /tmp: ${stderr}`);
  });
  t.end();
});
