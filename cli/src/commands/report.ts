/** `zfnet report`: the page about a run. */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { defineCommand, handler } from '../command.js';
import { writeReport } from '../report/write_report.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';

export function reportCommand(program: Command): void {
  defineCommand(program, 'report <run>', 'write report/index.html: how the network learnt, what it looks for, where it goes wrong', [
    'zfnet report runs/photos',
    'zfnet report runs/resnet --data photos/      # any imported network, on your images',
  ])
    .option('--data <source>', 'as for train (default: what the run was trained on)')
    .option('--quick', 'leave out what takes long: the linear classifier, and most images of experiments on many')
    .action(
      handler(async (context, out: string, options: DataChoice & { quick?: boolean }) => {
        await context.engine();
        const run = await openRun(out);
        try {
          const dataset = await openRunData(run, options, context.reporter, { divide: true });
          const command = `npx zfnet report ${out}${options.data ? ` --data ${options.data}` : ''}${options.quick ? ' --quick' : ''}`;
          const { page, tests } = await writeReport({ run, out, dataset, quick: options.quick, command }, context);
          context.result(
            { run: out, report: page, tests },
            () => `The report, a page for your browser: ${pathToFileURL(resolve(page)).href}`,
          );
        } finally {
          run.model.dispose();
        }
      }),
    );
}
