/** `zfnet report`: writes the HTML report on a run. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { defineCommand, handler } from '../command.js';
import { dataOption } from '../options.js';
import { writeReport } from '../report/write_report.js';
import { type DataChoice, openRunData } from '../run/data.js';
import { openRun } from '../run/runs.js';

export function reportCommand(program: Command): void {
  defineCommand(program, 'report <run>', 'write the HTML report on a run: learning curves, features and errors', [
    'zfnet report runs/photos',
    'zfnet report runs/resnet --data photos/      # an imported network, on your images',
  ])
    .addOption(dataOption())
    .option('--quick', 'skip the slow parts: the linear classifier, gradient ascent, and most images of the larger experiments')
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
            () => `The report (open it in a browser): ${pathToFileURL(resolve(page)).href}`,
          );
        } finally {
          run.model.dispose();
        }
      }),
    );
}
