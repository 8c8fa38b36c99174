// limelight evaluate and merge as their users run them: whole, in parts, killed and resumed, and under a real Slurm.

import { spawn } from 'node:child_process';
import { appendFileSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'tape';
import {
  fromRuns,
  type Measured,
  type PictureLine,
  ResultsError,
  toRuns,
} from '../../app/evaluation/record.ts';
import { partOf, shardOf } from '../../app/evaluation/shard.ts';
import type { Summary } from '../../app/evaluation/summary.ts';
import { flags, hasStack, inFolder, limelight, shipped } from './limelight.ts';
import { startSlurm, whyNoSlurm } from './slurm.ts';

test('evaluate: parts of a data set by the variables of schedulers', (t) => {
  const of = (environment: Record<string, string>) => shardOf(environment).shard;
  t.deepEqual(of({}), { index: 1, count: 1 });
  const slurm = (id: number, count: number, least: number, step = 1) =>
    of({
      SLURM_ARRAY_TASK_ID: String(id),
      SLURM_ARRAY_TASK_COUNT: String(count),
      SLURM_ARRAY_TASK_MIN: String(least),
      SLURM_ARRAY_TASK_STEP: String(step),
    });
  t.deepEqual(slurm(0, 4, 0), { index: 1, count: 4 });
  t.deepEqual(slurm(4, 4, 1), { index: 4, count: 4 });
  t.deepEqual(slurm(11, 3, 1, 5), { index: 3, count: 3 }, '--array=1-11:5');
  t.deepEqual(of({ JOB_COMPLETION_INDEX: '0', JOB_COMPLETIONS: '16' }), { index: 1, count: 16 });
  const wrong: Record<string, string>[] = [
    { JOB_COMPLETION_INDEX: '0' },
    { JOB_COMPLETION_INDEX: '16', JOB_COMPLETIONS: '16' },
    { SLURM_ARRAY_TASK_ID: '2' },
    { SLURM_ARRAY_TASK_ID: 'two', SLURM_ARRAY_TASK_COUNT: '4' },
    // An array with gaps, such as --array=1,7: which part is meant cannot be told.
    {
      SLURM_ARRAY_TASK_ID: '7',
      SLURM_ARRAY_TASK_COUNT: '2',
      SLURM_ARRAY_TASK_MIN: '1',
      SLURM_ARRAY_TASK_STEP: '1',
    },
  ];
  for (const environment of wrong)
    t.throws(() => shardOf(environment), ResultsError, JSON.stringify(environment));
  const items = Array.from({ length: 11 }, (_, i) => i);
  const parts = [1, 2, 3].map((index) => partOf(items, { index, count: 3 }));
  t.deepEqual(
    parts.flat().sort((a, b) => a - b),
    items,
    'each item is in one part',
  );
  t.end();
});

test('evaluate: sums are written as runs', (t) => {
  for (const values of [[], [0], [1, 1, 1, 0, 0, 2.5], [0.1, 0.1, -3, 0]]) {
    t.deepEqual([...fromRuns(toRuns(values))], values);
  }
  t.deepEqual(toRuns([0, 0, 1]), [0, 2, 1, 1]);
  t.end();
});

interface Scene {
  readonly file: string;
  readonly digits: readonly { readonly class: string; readonly box: readonly number[] }[];
}
const scenes = JSON.parse(readFileSync(shipped('images/scenes.json'), 'utf8')) as Scene[];

/** The shipped scenes under several names, with their boxes; returns the CSV file. */
function sceneFiles(folder: string, copies: number): string {
  const lines = ['file,class,x0,y0,x1,y1'];
  for (let copy = 0; copy < copies; copy++) {
    for (const { file, digits } of scenes) {
      copyFileSync(shipped(`images/${file}`), join(folder, `${copy}-${file}`));
      for (const digit of digits) lines.push([`${copy}-${file}`, digit.class, ...digit.box].join());
    }
  }
  const path = join(folder, 'boxes.csv');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

const summaryIn = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as Summary;
/** Picture lines in the order of names. */
const linesIn = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line) as PictureLine)
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** Figures that are equal but for the order of f32 sums: no measure is off in the fifth digit. */
const rounded = (value: unknown) =>
  JSON.parse(JSON.stringify(value), (_, one) => (typeof one === 'number' ? Number(one.toPrecision(5)) : one));

const asked = (csv: string, out: string, ...more: string[]) => [
  ...['evaluate', '--data', csv, '--out', out, '--method', 'cam,grad-cam', ...more],
];

test('evaluate: boxes in a file, a damaged picture, two parts and their merge', async (t) => {
  await inFolder((folder) => {
    const csv = sceneFiles(folder, 1);
    appendFileSync(csv, 'damaged.png,3,1,2,3,4\n');
    writeFileSync(join(folder, 'damaged.png'), readFileSync(shipped('images/scene-1.png')).subarray(0, 300));
    const whole = join(folder, 'whole');
    const { status, stdout, stderr } = limelight(...asked(csv, whole));
    t.equal(status, 0, stderr);
    t.ok(/pointing.*\d\.\d \[/.test(stdout) && stdout.includes('1 pictures were left out'), stdout);
    t.ok(/left out: .*damaged\.png/.test(stderr), 'the damaged picture is named');
    const summary = summaryIn(whole);
    t.deepEqual([summary.pictures, summary.maps, summary.damaged.length], [3, 8, 1]);
    const [cam, gradCam] = summary.methods;
    t.deepEqual(rounded(cam!.estimates), rounded(gradCam!.estimates), 'on a GAP network Grad-CAM is CAM');
    const area = scenes.flatMap(({ digits }) => digits.map(({ box: [a, b, c, d] }) => (c! - a!) * (d! - b!)));
    const found = cam!.estimates.find(({ column }) => column.title === 'area')!;
    t.ok(
      Math.abs(found.value - area.reduce((x, y) => x + y, 0) / area.length / 4096) < 1e-12,
      `area ${found.value}`,
    );
    t.equal(cam!.estimates[0]!.value, 1, "CAM's peak is on each digit");
    const report = readFileSync(join(whole, 'report.html'), 'utf8');
    t.ok(report.includes('data:image/png') && !/https?:\/\//.test(report), 'the report is one file');

    const out = join(folder, 'parts');
    for (const part of ['1/2', '2/2']) {
      const ended = limelight(...asked(csv, out, '--shard', part));
      t.equal(ended.status, 0, ended.stderr);
    }
    const parts = [1, 2].map((k) => join(out, `evaluation-${k}-of-2.jsonl`));
    const merged = limelight('merge', ...parts, '--out', out);
    t.equal(merged.status, 0, merged.stderr);
    t.equal(merged.stdout, stdout, 'parts put together say the same as the whole');
    t.deepEqual(summaryIn(out), summary);

    const jobs = join(folder, 'jobs');
    const shared = limelight(...asked(csv, jobs, '--jobs', '2'));
    t.equal(shared.status, 0, shared.stderr);
    t.equal(shared.stdout, stdout, 'two processes say the same as one');
    t.deepEqual(summaryIn(jobs), summary);
    t.ok(/^[12]\/2: left out: .*damaged\.png/m.test(shared.stderr), 'and what each says is told');
    const both = limelight(...asked(csv, jobs, '--jobs', '2', '--shard', '1/2'));
    t.ok(both.status === 2 && /--jobs divides/.test(both.stderr), both.stderr);

    const refused = (...files: string[]) => {
      const ended = limelight('merge', ...files, '--out', join(folder, 'refused'));
      t.ok(ended.status === 1 && !hasStack(ended.stderr), ended.stderr.trim());
      return ended.stderr;
    };
    t.ok(/missing: 2/.test(refused(parts[0]!)));
    t.ok(/both part 1/.test(refused(parts[0]!, parts[0]!)));
    t.ok(/one of 2 parts/.test(refused(parts[0]!, join(whole, 'evaluation.jsonl'))));
    t.ok(/boxes\.csv/.test(refused(csv)));
    const half = join(folder, 'half.jsonl');
    writeFileSync(half, `${readFileSync(parts[1]!, 'utf8').split('\n').slice(0, 2).join('\n')}\n`);
    t.ok(/1 of 4 pictures were not measured/.test(refused(parts[0]!, half)));
    const other = join(folder, 'other.jsonl');
    writeFileSync(other, readFileSync(parts[1]!, 'utf8').replace('"layer":"', '"layer":"x'));
    t.ok(/layer is/.test(refused(parts[0]!, other)));
    t.notOk(existsSync(join(folder, 'refused')), 'nothing is written');
  });
  t.end();
});

test('evaluate: a row for each layer, and a plot by layer', async (t) => {
  await inFolder((folder) => {
    const csv = sceneFiles(folder, 1);
    const args = ['evaluate', '--data', csv, '--method', 'grad-cam', '--metric', 'pointing,energy'];
    const [one, all] = [[], ['--layer', 'all']].map((more, i) => {
      const out = join(folder, String(i));
      const ended = limelight(...args, ...more, '--out', out);
      t.equal(ended.status, 0, ended.stderr);
      return summaryIn(out);
    });
    const layers = ['stem', 'stage1', 'stage2', 'features'].flatMap((name) => [
      `${name}.conv`,
      `${name}.norm`,
      name,
    ]);
    t.deepEqual(
      all!.methods.map(({ method }) => method),
      layers.map((layer) => `grad-cam at ${layer}`),
      'pooling, which only thins a map out, is left out',
    );
    const [last, alone] = [all!.methods.at(-1)!.estimates, one!.methods[0]!.estimates];
    t.deepEqual(rounded(last), rounded(alone), 'as for the layer alone');
    t.notDeepEqual(all!.methods[0]!.estimates, one!.methods[0]!.estimates);
    const report = readFileSync(join(folder, '1', 'report.html'), 'utf8');
    for (const [i, { estimates }] of all!.methods.entries()) {
      const energy = (100 * estimates[1]!.value).toFixed(1);
      t.ok(
        report.includes(`<title>grad-cam, ${layers[i]}: ${energy}</title>`),
        `${layers[i]} is in the plot`,
      );
    }
    t.notOk(readFileSync(join(folder, '0', 'report.html'), 'utf8').includes('By layer'));
  });
});

test('evaluate: killed three times and resumed, the result is the same', async (t) => {
  await inFolder(async (folder) => {
    const csv = sceneFiles(folder, 4);
    const [whole, out] = [join(folder, 'whole'), join(folder, 'killed')];
    t.equal(limelight(...asked(csv, whole)).status, 0);
    const file = join(out, 'evaluation.jsonl');
    const written = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 2 : 0);
    for (const until of [2, 5, 9]) {
      const child = spawn(process.execPath, [...flags, ...asked(csv, out, '--resume')], { stdio: 'ignore' });
      const ended = new Promise((done) => child.on('close', done));
      while (written() < until && child.exitCode === null) await new Promise((go) => setTimeout(go, 5));
      child.kill('SIGKILL');
      await ended;
      // What a process that is killed while it writes leaves behind.
      appendFileSync(file, '{"name":"torn');
    }
    t.ok(written() < 12, `killed after ${written()} of 12`);
    const { status, stderr } = limelight(...asked(csv, out, '--resume'));
    t.equal(status, 0, stderr);
    t.deepEqual(
      linesIn(file),
      linesIn(join(whole, 'evaluation.jsonl')),
      'each picture once, the same numbers',
    );
    t.deepEqual(summaryIn(out), summaryIn(whole));

    // By content: another picture under a name is measured again, and the others are not.
    copyFileSync(shipped('images/scene-2.png'), join(folder, '0-scene-1.png'));
    t.equal(limelight(...asked(csv, out, '--resume')).status, 0);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    t.equal(lines.length, 1 + 12 + 1);
    t.equal((JSON.parse(lines.at(-1)!) as Measured).name, '0-scene-1.png');
    t.equal(summaryIn(out).pictures, 12, 'the last line of a picture counts');
    const again = limelight(...asked(csv, out));
    t.ok(again.status === 1 && /--resume/.test(again.stderr), again.stderr.trim());
    const changed = limelight(...asked(csv, out, '--resume', '--metric', 'energy'));
    t.ok(changed.status === 1 && /metrics is/.test(changed.stderr), changed.stderr.trim());
  });
  t.end();
});

test('evaluate: labels are matched by whole names, and two may name one class', async (t) => {
  await inFolder((folder) => {
    copyFileSync(shipped('images/scene-1.png'), join(folder, 'scene.png'));
    const [two, five] = scenes[0]!.digits.map(({ box }) => box.join());
    const csv = join(folder, 'boxes.csv');
    const lines = [
      'file,class,x0,y0,x1,y1',
      `scene.png,TWO,${two}`,
      `scene.png,zwei,${five}`,
      `scene.png,fi,${five}`,
    ];
    writeFileSync(csv, `${lines.join('\n')}\n`);
    const names = ['zero', 'one', 'two, zwei', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
    writeFileSync(join(folder, 'names.txt'), `${names.join('\n')}\n`);
    const ended = limelight(
      ...asked(csv, folder, '--labels', join(folder, 'names.txt'), '--metric', 'energy'),
    );
    t.equal(ended.status, 0, ended.stderr);
    t.ok(/1 of 3 labels are no classes.*: fi$/m.test(ended.stderr), 'part of a name is no name');
    const [line] = linesIn(join(folder, 'evaluation.jsonl')) as Measured[];
    t.deepEqual(
      line!.classes.map((one) => one.class),
      [2],
    );
    const area = scenes[0]!.digits.map(({ box: [a, b, c, d] }) => (c! - a!) * (d! - b!));
    t.equal(
      fromRuns(line!.sums.cam!.energy!)[1],
      (area[0]! + area[1]!) / 4096,
      'with the boxes of both labels',
    );
  });
  t.end();
});

test('evaluate: what cannot be is said', async (t) => {
  await inFolder((folder) => {
    const bad: [string[], number, RegExp][] = [
      [['--data', join(folder, 'nowhere')], 1, /nowhere is no data set/],
      [['--data', 'scenes', '--metric', 'nope'], 2, /no metric "nope"/],
      [['--data', 'scenes', '--method', 'nope'], 2, /no method "nope"/],
      [['--data', 'scenes', '--shard', '3/2'], 2, /--shard/],
      [[], 2, /--data/],
    ];
    for (const [args, code, said] of bad) {
      const { status, stderr } = limelight('evaluate', '--out', join(folder, 'out'), ...args);
      t.ok(status === code && said.test(stderr) && !hasStack(stderr), `${args.join(' ')}: ${stderr.trim()}`);
    }
    const csv = join(folder, 'x.csv');
    writeFileSync(csv, 'file,class\na.png,zebra\n');
    const unknown = limelight(...asked(csv, join(folder, 'out')));
    t.ok(unknown.status === 1 && /zebra/.test(unknown.stderr), unknown.stderr.trim());
    t.notOk(existsSync(join(folder, 'out')), 'nothing is written');
  });
  t.end();
});

test('evaluate: a job array of a real Slurm, with a task killed and queued again', async (t) => {
  const reason = whyNoSlurm();
  if (reason) {
    t.skip(reason);
    t.end();
    return;
  }
  await inFolder(async (folder) => {
    const csv = sceneFiles(folder, 3);
    const [whole, out] = [join(folder, 'whole'), join(folder, 'parts')];
    t.equal(limelight(...asked(csv, whole)).status, 0);
    const slurm = startSlurm(join(folder, 'slurm'));
    try {
      const script = fileURLToPath(new URL('../../app/cluster/evaluate.sbatch', import.meta.url));
      const job = slurm
        .run(
          'sbatch',
          '--parsable',
          '--array=0-1',
          `--chdir=${process.cwd()}`,
          `--output=${folder}/log-%a`,
          `--export=ALL,LIMELIGHT=${[process.execPath, ...flags].join(' ')}`,
          script,
          ...asked(csv, out).slice(1),
        )
        .trim();
      const first = join(out, 'evaluation-1-of-2.jsonl');
      const lines = () => (existsSync(first) ? readFileSync(first, 'utf8').split('\n').length - 1 : 0);
      const states = () => slurm.run('squeue', '-h', '-r', '-j', job, '-o', '%T').trim();
      const pause = () => new Promise((go) => setTimeout(go, 20));
      const deadline = Date.now() + 120_000;
      while (lines() < 2 && Date.now() < deadline) await pause();
      slurm.run('scontrol', 'requeue', `${job}_0`);
      t.ok(lines() < 6, `queued again after ${lines() - 1} of 5 pictures`);
      // A task that is queued again waits for two minutes unless it is released, and for a moment is in no queue.
      const goesOn = (state: string) => (state !== '' || lines() < 6) && Date.now() < deadline;
      for (let state = states(); goesOn(state); state = states()) {
        if (/PENDING/.test(state)) slurm.run('scontrol', 'update', `JobId=${job}_0`, 'StartTime=now');
        await new Promise((go) => setTimeout(go, 500));
      }
      t.equal(states(), '', 'all tasks have ended');
    } finally {
      slurm.stop();
    }
    const parts = [1, 2].map((k) => join(out, `evaluation-${k}-of-2.jsonl`));
    const merged = limelight('merge', ...parts, '--out', out);
    t.equal(merged.status, 0, `${merged.stderr}${readFileSync(join(folder, 'log-0'), 'utf8')}`);
    t.deepEqual(summaryIn(out), summaryIn(whole), 'the merged result is that of one process');
  });
  t.end();
});
