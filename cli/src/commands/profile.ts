/** `zfnet profile`: where the time of a step goes, a row a kernel, and a trace of it. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { backendInfo, ceilingFor, createCeiling, type Profile, profile } from 'zfnet';
import { defineCommand, handler, whole } from '../command.js';
import { writeOutput } from '../files/write_file.js';
import { FolderStore } from '../run/run_folder.js';
import { openWorkload, type WorkloadOptions } from '../workload.js';

interface ProfileOptions extends WorkloadOptions {
  repeat: number;
  rows: number;
  trace?: string;
  out?: string;
}

export function profileCommand(program: Command): void {
  defineCommand(program, 'profile <run|preset|file.onnx>', 'where a step’s time goes: a row a kernel, and a trace', [
    'zfnet profile a --batch-size 16',
    'zfnet profile runs/photos --forward --threads 1 --trace trace.json',
    'zfnet profile photos.onnx --forward --batch-size 1 --out profile/',
  ])
    .option('--batch-size <n>', 'images a step', whole({ min: 1 }), 16)
    .option('--input-size <pixels>', 'height and width of the input (default: the network’s)', whole({ min: 1 }))
    .option('--forward', 'a forward pass instead of a training step')
    .option('--repeat <n>', 'steps to record, after two that are not', whole({ min: 1 }), 3)
    .option('--rows <n>', 'rows of the table', whole({ min: 1 }), 40)
    .option('--trace <file>', 'write a trace for https://ui.perfetto.dev or chrome://tracing')
    .option('--out <folder>', 'write profile.json, profile.txt and trace.json there')
    .action(
      handler(async (context, target: string, options: ProfileOptions) => {
        const { repeat, rows: limit, trace, out } = options;
        await context.engine();
        const workload = await openWorkload(target, { ...options, seed: context.common.seed });
        try {
          context.reporter.say(`profiling ${workload.description}: 2 steps to warm up, ${repeat} to record`);
          // The first takes the memory that it needs, the second may still move it: fresh pages are slow.
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

/** What the machine's arithmetic allows at this moment, in GFLOP/s; nothing to compare with where WebAssembly does not compute. */
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
  return `${workload}: ${msPerStep.toFixed(1)} ms a step, ${imagesPerSecond.toFixed(1)} images/s; ${repeat} step${repeat === 1 ? '' : 's'} below`;
}
