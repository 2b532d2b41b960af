/** The program: every command with its options. */
import { createRequire } from 'node:module';
import { Command } from 'commander';
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
import { addCommonOptions } from './options.js';
import { printable } from './terminal/terminal.js';

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

/** Returns the program with all commands. Commander's errors are thrown, not printed with an exit. */
export function createProgram(): Command {
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
