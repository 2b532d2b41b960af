/** Entry point of the command line: registers all commands, runs the requested one and sets the exit status. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { addCommonOptions, reportError } from './command.js';
import { ablateCommand } from './commands/ablate.js';
import { ascendCommand } from './commands/ascend.js';
import { benchCommand } from './commands/bench.js';
import { correspondCommand } from './commands/correspond.js';
import { deconvCommand } from './commands/deconv.js';
import { demoCommand } from './commands/demo.js';
import { evaluateCommand } from './commands/evaluate.js';
import { evolveCommand } from './commands/evolve.js';
import { exportCommand } from './commands/export.js';
import { featuresCommand } from './commands/features.js';
import { filtersCommand } from './commands/filters.js';
import { importCommand } from './commands/import.js';
import { infoCommand } from './commands/info.js';
import { invarianceCommand } from './commands/invariance.js';
import { occludeCommand } from './commands/occlude.js';
import { predictCommand } from './commands/predict.js';
import { profileCommand } from './commands/profile.js';
import { reportCommand } from './commands/report.js';
import { top9Command } from './commands/top9.js';
import { trainCommand } from './commands/train.js';
import { transferCommand } from './commands/transfer.js';
import { verifyCommand } from './commands/verify.js';
import { printable, surviveClosedStreams } from './terminal/terminal.js';

const TOUR = `
A short tour:
  $ npx zfnet demo --out runs/demo                        train on embedded data, evaluate, write a report
  $ npx zfnet train --data photos/ --out runs/photos      train on a folder that contains one folder per class
  $ npx zfnet evaluate runs/photos                        measure its classification errors
  $ npx zfnet predict runs/photos cat.jpg                 classify an image
  $ npx zfnet deconv runs/photos cat.jpg --layer conv5 --strongest 9 --out cat.png
                                                          project the nine strongest maps of conv5 to pixels
  $ npx zfnet info a                                      list the layers of the paper's network
  $ npx zfnet profile a --batch-size 16                   measure where a training step spends its time

Run a command with --help to see its options and examples. Exit status: 0 success, 1 failure, 2 wrong usage.`;

function createProgram(): Command {
  const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
  const program = new Command('zfnet')
    .description('Train ZFNet on your images, and look inside it.')
    .version(version)
    .addHelpText('after', TOUR)
    .showHelpAfterError('(run with --help to see the usage)')
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(printable(text)) })
    .configureHelp({ showGlobalOptions: false });
  for (const register of [
    demoCommand,
    trainCommand,
    evaluateCommand,
    predictCommand,
    deconvCommand,
    top9Command,
    ascendCommand,
    evolveCommand,
    filtersCommand,
    occludeCommand,
    invarianceCommand,
    correspondCommand,
    reportCommand,
    infoCommand,
    verifyCommand,
    exportCommand,
    importCommand,
    profileCommand,
    benchCommand,
    transferCommand,
    featuresCommand,
    ablateCommand,
  ])
    register(program);
  // Subcommands must throw as well: ending the process at once could cut off pending output.
  for (const command of program.commands) addCommonOptions(command).exitOverride().showHelpAfterError('(run with --help to see the usage)');
  return program;
}

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
