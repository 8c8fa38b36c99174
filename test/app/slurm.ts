// A Slurm of one node on this machine, for the length of a test. Needs root, and Debian's slurm-wlm and munge.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';

/** Why no Slurm can be started here; undefined where one can. */
export function whyNoSlurm(): string | undefined {
  if (process.getuid?.() !== 0) return 'starting a Slurm needs root';
  const missing = ['slurmctld', 'slurmd', 'sbatch', 'munged'].filter(
    (name) => spawnSync('which', [name]).status !== 0,
  );
  return missing.length > 0 ? `${missing.join(', ')} not installed (Debian: slurm-wlm, munge)` : undefined;
}

export interface Slurm {
  /** Runs one of Slurm's commands; returns what it prints. */
  readonly run: (command: string, ...args: string[]) => string;
  readonly stop: () => void;
}

const pause = (seconds: number) =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000 * seconds);

/** Starts one whose files are in `folder`. */
export function startSlurm(folder: string): Slurm {
  for (const name of ['state', 'spool']) mkdirSync(join(folder, name), { recursive: true });
  mkdirSync('/run/munge', { recursive: true });
  const shell = (script: string) => execFileSync('sh', ['-c', script], { encoding: 'utf8', stdio: 'pipe' });
  const munge = spawnSync('pgrep', ['-x', 'munged']).status === 0 ? undefined : '/run/munge/munged.pid';
  if (munge) {
    if (!existsSync('/etc/munge/munge.key'))
      shell('dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024');
    shell(
      'chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge; chmod 400 /etc/munge/munge.key',
    );
    shell('su -s /bin/sh munge -c munged');
  }
  const host = hostname();
  const settings = {
    ClusterName: 'test',
    SlurmctldHost: `${host}(127.0.0.1)`,
    SlurmUser: 'root',
    SlurmdUser: 'root',
    AuthType: 'auth/munge',
    ProctrackType: 'proctrack/linuxproc',
    TaskPlugin: 'task/none',
    ReturnToService: '2',
    StateSaveLocation: join(folder, 'state'),
    SlurmdSpoolDir: join(folder, 'spool'),
    SlurmctldPidFile: join(folder, 'controller.pid'),
    SlurmdPidFile: join(folder, 'node.pid'),
    SlurmctldLogFile: join(folder, 'controller.log'),
    SlurmdLogFile: join(folder, 'node.log'),
    SelectType: 'select/cons_tres',
    SelectTypeParameters: 'CR_Core',
    JobRequeue: '1',
    NodeName: `${host} NodeAddr=127.0.0.1 CPUs=${availableParallelism()} State=UNKNOWN`,
    PartitionName: 'test Nodes=ALL Default=YES MaxTime=INFINITE State=UP',
  };
  const conf = join(folder, 'slurm.conf');
  writeFileSync(
    conf,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const env = { ...process.env, SLURM_CONF: conf };
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { encoding: 'utf8', env, stdio: 'pipe' });
  const stop = () => {
    for (const path of [
      join(folder, 'node.pid'),
      join(folder, 'controller.pid'),
      ...(munge ? [munge] : []),
    ]) {
      if (existsSync(path)) process.kill(Number(readFileSync(path, 'utf8')));
    }
  };
  try {
    run('slurmctld', '-f', conf);
    run('slurmd', '-f', conf);
    for (let tries = 0; !run('sinfo', '-h', '-o', '%t').includes('idle'); tries++) {
      if (tries > 20) throw new Error(`no idle node: ${readFileSync(join(folder, 'node.log'), 'utf8')}`);
      pause(1);
    }
  } catch (error) {
    stop();
    throw error;
  }
  return { run, stop };
}
