/** `zfnet bench`: compares the speed of matrix product and convolution kernels with the measured arithmetic peak of the machine. */
import type { Command } from 'commander';
import { backendInfo, matmul, type ProfileRow, profile, randn } from 'zfnet';
import { defineCommand, deviceText, handler, UsageError, whole } from '../command.js';
import { prepareLimits } from '../limits.js';
import { batchSizeOption, repeatOption } from '../options.js';
import { columns } from '../terminal/columns.js';
import { openWorkload, type WorkloadOptions } from '../workload.js';

interface BenchOptions extends WorkloadOptions {
  repeat: number;
}

/** Square matrix products, and two convolutions of ZFNet as matrix products: C is [m, n], the sum runs over k. */
const PRODUCTS = [
  { name: '256³', m: 256, n: 256, k: 256 },
  { name: '1024³', m: 1024, n: 1024, k: 1024 },
  { name: 'conv2 as a product', m: 256, n: 676, k: 2400 },
  { name: 'conv4 as a product', m: 384, n: 169, k: 3456 },
];
/** On a software device, whose speed says nothing about a GPU, one product shows that the command works. */
const SOFTWARE_PRODUCTS = [{ name: '64³', m: 64, n: 64, k: 64 }];
/** A product takes only milliseconds, so this many are measured per step. */
const PRODUCTS_PER_STEP = 4;

interface BenchRow {
  name: string;
  kernel: string;
  shape: string;
  bestMs: number;
  gflops: number;
  ofCeiling: number;
}

export function benchCommand(program: Command): void {
  defineCommand(
    program,
    'bench [run|preset|file.onnx]',
    'compare the speed of kernels with the measured arithmetic peak of this machine or GPU (under a minute)',
    [
      'zfnet bench',
      'zfnet bench small --batch-size 64 --threads 1',
      'zfnet bench --forward --batch-size 1 --json',
      'zfnet bench --backend webgpu',
    ],
  )
    .addOption(batchSizeOption('images per step', 16))
    .option('--input-size <pixels>', 'height and width of the input (default: that of the network)', whole({ min: 1 }))
    .option('--forward', 'measure a forward pass instead of a training step')
    .addOption(repeatOption('the fastest one counts', 3))
    .action(
      handler(async (context, target: string | undefined, options: BenchOptions) => {
        await context.engine();
        const limits = await prepareLimits();
        if (!limits) throw new UsageError('bench measures the wasm and webgpu backends: leave out --backend, or use --backend webgpu');
        const list = backendInfo().device?.software ? SOFTWARE_PRODUCTS : PRODUCTS;
        const workload = await openWorkload(target ?? 'a', { ...options, seed: context.common.seed });
        const bar = context.reporter.bar('measuring', list.length + options.repeat + 1, 'runs');
        const found: { name: string; row: ProfileRow }[] = [];
        try {
          for (const [i, { name, m, n, k }] of list.entries()) {
            const { rows } = await profile(() => products(m, n, k, PRODUCTS_PER_STEP * options.repeat));
            found.push(...byLayer(rows).map((row) => ({ name, row })));
            bar.update(i + 1);
          }
          await workload.step();
          const { rows } = await profile(async () => {
            for (let i = 0; i < options.repeat; i++) {
              await workload.step();
              bar.update(list.length + i + 2);
            }
          });
          found.push(...byLayer(rows).map((row) => ({ name: row.layer, row })));
        } finally {
          workload.dispose();
        }
        const info = backendInfo();
        const { gflops: ceilingGflops, perThread, gbs } = await limits();
        const rows = found.map(({ name, row }): BenchRow => {
          const gflops = row.flop / row.calls / row.bestMs / 1e6;
          return {
            name,
            kernel: row.plan ? `${row.kernel} ${row.plan}` : row.kernel,
            shape: row.shape,
            bestMs: row.bestMs,
            gflops,
            ofCeiling: gflops / ceilingGflops,
          };
        });
        const report = { workload: workload.description, ceilingGflops, ceilingOfOneThread: perThread, ceilingGbs: gbs, info, rows };
        context.result(report, () => table(report));
      }),
    );
}

/** The rows that count arithmetic operations, sorted by layer. */
const byLayer = (rows: readonly ProfileRow[]): ProfileRow[] =>
  rows
    .filter(({ flop }) => flop > 0)
    .sort((a, b) => a.layer.localeCompare(b.layer, 'en', { numeric: true }) || a.kernel.localeCompare(b.kernel));

/** Computes a product and its two gradients `times` times: A·B, dC·Bᵀ and Aᵀ·dC. */
function products(m: number, n: number, k: number, times: number): void {
  const [a, b, seed] = [randn([m, k], { requiresGrad: true }), randn([k, n], { requiresGrad: true }), randn([m, n])];
  for (let i = 0; i < times; i++) {
    matmul(a, b).backward({ gradient: seed });
    a.grad?.dispose();
    b.grad?.dispose();
    a.grad = null;
    b.grad = null;
  }
  for (const each of [a, b, seed]) each.dispose();
}

function table({
  workload,
  rows,
  ceilingGflops,
  ceilingGbs,
  info,
}: {
  workload: string;
  rows: BenchRow[];
  ceilingGflops: number;
  ceilingGbs?: number;
  info: ReturnType<typeof backendInfo>;
}): string {
  const cells = [
    ['', 'kernel', 'shape', 'best ms', 'GFLOP/s', 'of ceiling'],
    ...rows.map(({ name, kernel, shape, bestMs, gflops, ofCeiling }) => [
      name,
      kernel,
      shape,
      bestMs.toFixed(bestMs < 10 ? 3 : 1),
      gflops.toFixed(1),
      ofCeiling.toFixed(2),
    ]),
  ];
  const copy = ceilingGbs === undefined ? '' : `, copy ${ceilingGbs.toFixed(1)} GB/s`;
  return [
    ...columns(cells, new Set([3, 4, 5])),
    `${workload}; ceiling ${ceilingGflops.toFixed(1)} GFLOP/s${copy}; ${info.variant}, ${info.threads} thread${info.threads === 1 ? '' : 's'}, ${info.mode}`,
    ...(info.device ? [deviceText(info.device)] : []),
  ].join('\n');
}
