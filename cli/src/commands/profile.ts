/** `zfnet profile`: measures the time of each kernel in a training step or forward pass, and writes traces. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { backendInfo, ceilingFor, createCeiling, type Profile, profile } from 'zfnet';
import { defineCommand, handler, whole } from '../command.js';
import { writeOutput } from '../files/write_file.js';
import { batchSizeOption, outOption, repeatOption } from '../options.js';
import { FolderStore } from '../run/run_folder.js';
import { openWorkload, type WorkloadOptions } from '../workload.js';

interface ProfileOptions extends WorkloadOptions {
  repeat: number;
  rows: number;
  trace?: string;
  out?: string;
}

export function profileCommand(program: Command): void {
  defineCommand(program, 'profile <run|preset|file.onnx>', 'measure the time of each kernel in a training step or forward pass', [
    'zfnet profile a --batch-size 16',
    'zfnet profile runs/photos --forward --threads 1 --trace trace.json',
    'zfnet profile photos.onnx --forward --batch-size 1 --out profile/',
  ])
    .addOption(batchSizeOption('images per step', 16))
    .option('--input-size <pixels>', 'height and width of the input (default: that of the network)', whole({ min: 1 }))
    .option('--forward', 'measure a forward pass instead of a training step')
    .addOption(repeatOption('after two warm-up steps', 3))
    .option('--rows <n>', 'largest number of rows of the table', whole({ min: 1 }), 40)
    .option('--trace <file>', 'file for a trace that https://ui.perfetto.dev and chrome://tracing open')
    .addOption(outOption('folder for profile.json, profile.txt and trace.json (default: none is written)'))
    .action(
      handler(async (context, target: string, options: ProfileOptions) => {
        const { repeat, rows: limit, trace, out } = options;
        await context.engine();
        const workload = await openWorkload(target, { ...options, seed: context.common.seed });
        try {
          context.reporter.say(`profiling ${workload.description}: 2 steps to warm up, ${repeat} to record`);
          // Two warm-up steps: the first allocates memory, the second may still move it, and the first access to a memory page is slow.
          for (let i = 0; i < 2; i++) await workload.step();
          const measured = await profile(async () => {
            for (let i = 0; i < repeat; i++) await workload.step();
          });
          const ceiling = await ceilingNow();
          const report = reportOf(workload.description, measured, workload.input, repeat, ceiling);
          const text = () => `${headline(report)}\n${measured.text({ ceiling, limit })}`;
          if (out !== undefined) {
            const store = new FolderStore(out);
            const encoder = new TextEncoder();
            await store.write('trace.json', encoder.encode(JSON.stringify(measured.trace())));
            await store.write('profile.txt', encoder.encode(`${text()}\n`));
            await store.write('profile.json', encoder.encode(`${JSON.stringify(report)}\n`));
            context.reporter.say(`wrote ${['profile.json', 'profile.txt', 'trace.json'].map((name) => join(out, name)).join(', ')}`);
          }
          if (trace !== undefined) {
            await writeOutput(trace, JSON.stringify(measured.trace()));
            context.reporter.say(`wrote ${trace}: open it in https://ui.perfetto.dev`);
          }
          context.result(report, text);
        } finally {
          workload.dispose();
        }
      }),
    );
}

/** Measures the arithmetic peak of the machine in GFLOP/s; undefined for other backends than wasm. */
async function ceilingNow(): Promise<number | undefined> {
  const info = backendInfo();
  return info.backend === 'wasm' ? ceilingFor(info, (await createCeiling())()) : undefined;
}

function reportOf(description: string, measured: Profile, input: readonly number[], repeat: number, ceiling: number | undefined) {
  const { text: _text, trace: _trace, rows, ...figures } = measured;
  return {
    workload: description,
    input,
    repeat,
    msPerStep: measured.wallMs / repeat,
    imagesPerSecond: (1e3 * input[0] * repeat) / measured.wallMs,
    ceilingGflops: ceiling ?? null,
    ...figures,
    rows: rows.map((row) => ({ ...row, ofCeiling: ceiling !== undefined && row.flop > 0 ? row.gflops / ceiling : null })),
  };
}

function headline({ workload, repeat, msPerStep, imagesPerSecond }: ReturnType<typeof reportOf>): string {
  return `${workload}: ${msPerStep.toFixed(1)} ms per step, ${imagesPerSecond.toFixed(1)} images/s; ${repeat} step${repeat === 1 ? '' : 's'} recorded`;
}
