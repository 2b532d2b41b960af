/** `zfnet profile`: measures the time of each kernel in a training step or forward pass, and writes traces. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Profile, profile } from 'zfnet';
import { defineCommand, handler, whole } from '../command.js';
import { writeOutput } from '../files/write_file.js';
import { type Limits, prepareLimits } from '../limits.js';
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
    'zfnet profile a --backend webgpu --batch-size 128 --trace trace.json',
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
          const limits = await (await prepareLimits())?.();
          const report = reportOf(workload.description, measured, workload.input, repeat, limits);
          const text = () => `${headline(report)}\n${measured.text({ ceiling: limits?.gflops, bandwidth: limits?.gbs, limit })}`;
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

function reportOf(description: string, measured: Profile, input: readonly number[], repeat: number, limits: Limits | undefined) {
  const { text: _text, trace: _trace, rows, ...figures } = measured;
  /** Share of the limit that holds for a row: of arithmetic, or of a copy where only its bytes are counted. */
  const ofCeiling = ({ flop, gflops, gbs }: Profile['rows'][number]): number | null => {
    const [speed, most] = flop > 0 ? [gflops, limits?.gflops] : [gbs, limits?.gbs];
    return most === undefined ? null : speed / most;
  };
  return {
    workload: description,
    input,
    repeat,
    msPerStep: measured.wallMs / repeat,
    imagesPerSecond: (1e3 * input[0] * repeat) / measured.wallMs,
    ceilingGflops: limits?.gflops ?? null,
    ceilingGbs: limits?.gbs ?? null,
    ...figures,
    rows: rows.map((row) => ({ ...row, ofCeiling: ofCeiling(row) })),
  };
}

function headline({ workload, repeat, msPerStep, imagesPerSecond }: ReturnType<typeof reportOf>): string {
  return `${workload}: ${msPerStep.toFixed(1)} ms per step, ${imagesPerSecond.toFixed(1)} images/s; ${repeat} step${repeat === 1 ? '' : 's'} recorded`;
}
