// Runs the program, and turns whatever becomes of it into messages and exit codes (0 done, 1 failed, 2 bad usage).

import { describeError, exitCodeOf } from './errors.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough, such as `head`, is no failure: what is left is written nowhere.
  if (error.code === 'EPIPE') return;
  process.stderr.write(describeError(error));
  process.exit(exitCodeOf(error));
});
// Nobody is left to tell; the work goes on.
process.stderr.on('error', () => {});

try {
  // Loaded here, so that what goes wrong while loading is told in one line too.
  const { program } = await import('./program.ts');
  await program().parseAsync();
} catch (error) {
  process.stderr.write(describeError(error));
  process.exitCode = exitCodeOf(error);
}
