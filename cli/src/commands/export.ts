/** `zfnet export`: writes the network of a run as an ONNX or safetensors file for other tools. */
import type { Command } from 'commander';
import { encodeCheckpoint, type TrainedRun } from 'zfnet';
import { toOnnx } from 'zfnet/onnx';
import type { HostTensor } from 'zfnet/safetensors';
import { defineCommand, handler, oneOf, whole } from '../command.js';
import { writeOutput } from '../files/write_file.js';
import { outOption } from '../options.js';
import { openTrainedRun } from '../run/runs.js';

interface ExportOptions {
  to: 'onnx' | 'safetensors';
  out: string;
  checkpoint?: string;
  opset: number;
}

export function exportCommand(program: Command): void {
  defineCommand(program, 'export <run>', 'write the network of a run as an ONNX or safetensors file', [
    'zfnet export runs/photos --to onnx --out photos.onnx',
    'zfnet export runs/photos --to safetensors --out photos.safetensors --checkpoint checkpoints/epoch-0010.safetensors',
  ])
    .requiredOption('--to <format>', 'file format: onnx, or safetensors (weights under PyTorch’s names)', oneOf(['onnx', 'safetensors']))
    .addOption(outOption('ONNX or safetensors file').makeOptionMandatory())
    .option('--checkpoint <file>', 'checkpoint file of the run to export (default: its best weights)')
    .option('--opset <n>', 'version of the ONNX operator set', whole({ min: 13, max: 22 }), 13)
    .action(
      handler(async (context, path: string, options: ExportOptions) => {
        const { to, out, checkpoint, opset } = options;
        await context.engine();
        const run = await openTrainedRun(path, { checkpoint });
        try {
          const bytes = await (to === 'onnx' ? asOnnx(run, opset) : asSafetensors(run));
          await writeOutput(out, bytes);
          const parameters = run.model.parameters().reduce((sum, { size }) => sum + size, 0);
          const report = { out, format: to, bytes: bytes.length, parameters, checkpoint: run.checkpoint };
          context.result(
            report,
            () => `${out}: ${parameters.toLocaleString('en')} parameters of ${run.checkpoint}, ${(bytes.length / 2 ** 20).toFixed(1)} MiB`,
          );
        } finally {
          run.model.dispose();
        }
      }),
    );
}

/** Metadata beside the weights, from which `zfnet import` restores the run. */
function infoOf({ config, classes, init, fingerprint }: TrainedRun): Record<string, unknown> {
  return { architecture: config.architecture, init, classes, fingerprint, preprocess: config.preprocess };
}

function asOnnx(run: TrainedRun, opset: number): Uint8Array | Promise<Uint8Array> {
  const mean = run.preprocess.meanTensor.data;
  const metadata: Record<string, string> = { 'zfnet.mean': Buffer.from(mean.buffer, mean.byteOffset, mean.byteLength).toString('base64') };
  for (const [key, value] of Object.entries(infoOf(run))) metadata[`zfnet.${key}`] = JSON.stringify(value);
  return toOnnx(run.model, { inputShape: run.model.inputShape, opset, metadata });
}

async function asSafetensors(run: TrainedRun): Promise<Uint8Array> {
  const weights: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(run.model.stateDict())) weights[name] = { shape: tensor.shape, data: await tensor.data() };
  return encodeCheckpoint({ weights, velocities: {}, mean: run.preprocess.meanTensor, info: infoOf(run) });
}
