/** `zfnet demo`: trains a small ZFNet on embedded data, tests it, and writes a report about it. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { PATHS, readConfig } from 'zfnet';
import { defineCommand, handler, Interrupted, whole } from '../command.js';
import { outOption } from '../options.js';
import { writeReport } from '../report/write_report.js';
import { FolderStore } from '../run/run_folder.js';
import { isRun, openRun } from '../run/runs.js';
import type { TrainRunOptions } from '../run/training/options.js';
import { trainRun } from '../run/training/train_run.js';
import { duration } from '../terminal/reporter.js';

interface DemoOptions {
  out: string;
  epochs: number;
}

/** Default number of epochs; the demo then takes about two minutes on two cores. */
const EPOCHS = 5;
const RECIPE = {
  data: 'scenes',
  preset: 'a',
  inputSize: 80,
  width: 0.25,
  dropout: 0,
  init: 'mixed',
} as const satisfies Partial<TrainRunOptions>;
const TRAINING = {
  batchSize: 32,
  lr: 0.01,
  schedule: { kind: 'cosine' },
  augment: 'random',
} as const satisfies TrainRunOptions['training'];
const OUT = 'runs/demo';

export function demoCommand(program: Command): void {
  defineCommand(program, 'demo', 'train a small ZFNet on embedded data and write a report about it (about two minutes)', [
    'zfnet demo',
    'zfnet demo --out runs/longer --epochs 30',
  ])
    .addOption(outOption('folder of the run; an earlier demo in it is replaced', OUT))
    .option('--epochs <n>', 'passes over the training images', whole({ min: 1 }), EPOCHS)
    .action(
      handler(async (context, { out, epochs }: DemoOptions) => {
        const started = performance.now();
        const { reporter } = context;
        context.catchSignals();
        await context.engine();
        const { seed } = context.common;
        reporter.say('1/3 training on scenes: emoji over photographs');
        const trained = await trainRun(
          { ...RECIPE, out, force: await isDemo(out), training: { ...TRAINING, epochs, seed }, signal: context.signal },
          reporter,
        );
        trained.model.dispose();
        if (trained.status === 'stopped')
          throw new Interrupted(
            `stopped; resume with: npx zfnet train --out ${out} --resume, then npx zfnet report ${out}`,
            context.signalStatus(),
          );

        reporter.say('2/3 testing on photographs and on a style not seen in training, and visualising the features');
        const run = await openRun(out);
        const { page, tests } = await writeReport(
          { run, out, dataset: trained.dataset, seconds: trained.seconds, quick: true, command: commandLine(out, epochs, seed) },
          context,
        );
        run.model.dispose();
        const seconds = (performance.now() - started) / 1000;
        reporter.say(`3/3 done in ${duration(seconds)}`);
        context.result({ run: out, report: page, epochs, seconds: Number(seconds.toFixed(1)), tests }, () => parting(out, page));
      }),
    );
}

/** Whether a folder contains an earlier demo, which may be overwritten. */
async function isDemo(out: string): Promise<boolean> {
  if (!(await isRun(out))) return false;
  const config = await readConfig(new FolderStore(out)).catch(() => null);
  const { preset, inputSize, width } = config?.architecture ?? {};
  return config?.data.source === RECIPE.data && preset === RECIPE.preset && inputSize === RECIPE.inputSize && width === RECIPE.width;
}

function commandLine(out: string, epochs: number, seed: number | undefined): string {
  const options = [
    out === OUT ? '' : ` --out ${out}`,
    epochs === EPOCHS ? '' : ` --epochs ${epochs}`,
    seed === undefined ? '' : ` --seed ${seed}`,
  ];
  return `npx zfnet demo${options.join('')}`;
}

function parting(out: string, page: string): string {
  return [
    `The report (open it in a browser): ${pathToFileURL(resolve(page)).href}`,
    `The run: ${out} (${PATHS.best}, ${PATHS.metrics}, one checkpoint per epoch). Try next:`,
    `  npx zfnet evaluate ${out} --split unseen-style`,
    `  npx zfnet deconv ${out} picture.png --layer conv5 --out features.png`,
  ].join('\n');
}
