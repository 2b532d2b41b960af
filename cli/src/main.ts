/** Entry point of the command line: runs the requested command and sets the exit status. */
import { CommanderError } from 'commander';
import { reportError } from './command.js';
import { createProgram } from './program.js';
import { surviveClosedStreams } from './terminal/terminal.js';

/** Runs the command line. Returns the exit status: 0 success, 1 failure, 2 wrong usage, 128 + n after signal n. */
async function main(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...argv]);
    return 0;
  } catch (error) {
    // Commander has already printed its message. It also throws after --help and --version, with exit code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return reportError(error, argv.includes('--verbose'));
  }
}

surviveClosedStreams();
process.exitCode = await main(process.argv);
