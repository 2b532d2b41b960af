/** Opens a network and builds one step of it for measurements, on random input: a training step or a forward pass. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { auxiliaryLoss, crossEntropy, type Network, noGrad, PRESETS, type PresetName, randn, SGD, tensor, zfnet } from 'zfnet';
import { loadOnnx } from 'zfnet/onnx';
import { UsageError } from './command.js';
import { besideFile } from './importing/imported.js';
import { isRun, namingWrongSize, openRun } from './run/runs.js';

export interface WorkloadOptions {
  batchSize: number;
  inputSize?: number;
  /** Run only the forward pass, without recording a graph. Default false. */
  forward?: boolean;
  seed?: number;
}

export interface Workload {
  /** Description of a step for printing: network, kind of step, input shape. */
  description: string;
  /** Shape of the input, [N, C, H, W]. */
  input: readonly number[];
  step(): Promise<void>;
  dispose(): void;
}

/** So small that training on noise does not change the weights noticeably. */
const LEARNING_RATE = 1e-5;

/**
 * Opens a network and returns its step. Call `context.engine()` first.
 *
 * @param target folder of a run, name of a preset, or path of an ONNX file
 * @throws UsageError if `target` is none of these, or if the options do not fit it
 */
export async function openWorkload(target: string, options: WorkloadOptions): Promise<Workload> {
  const { model, input } = await openNetwork(target, options);
  const kind = options.forward ? 'forward pass' : 'training step';
  const x = randn(input).keep();
  const { step, dispose } = options.forward ? forwardStep(model, x) : trainingStep(model, x);
  return {
    description: `${target}, ${kind}, ${input.join('×')}`,
    input,
    step,
    dispose() {
      dispose();
      x.dispose();
      model.dispose();
    },
  };
}

type Input = ReturnType<typeof randn>;
type Step = Pick<Workload, 'step' | 'dispose'>;

function forwardStep(model: Network, x: Input): Step {
  model.eval();
  return {
    async step() {
      const y = noGrad(() => model.forward(x));
      await y.data();
      y.dispose();
    },
    dispose() {},
  };
}

function trainingStep(model: Network, x: Input): Step {
  const shape = model.outputShape(x.shape);
  if (!shape) throw new UsageError('a layer of the network does not state its output shape: only --forward can be measured');
  const [batch, classes, ...rest] = shape;
  if (classes === undefined || rest.length > 0)
    throw new UsageError(`the network gives [${[batch, classes, ...rest]}], not class scores: only --forward can be measured`);
  model.train();
  const sgd = new SGD(model.parameters(), { lr: LEARNING_RATE, momentum: 0.9 });
  const labels = tensor(Int32Array.from({ length: batch }, (_, i) => i % classes));
  return {
    async step() {
      const loss = auxiliaryLoss(model, labels, crossEntropy, crossEntropy(model.forward(x), labels));
      loss.backward();
      sgd.step();
      sgd.zeroGrad();
      await loss.item();
    },
    dispose: () => sgd.dispose(),
  };
}

async function openNetwork(target: string, options: WorkloadOptions): Promise<{ model: Network; input: readonly number[] }> {
  const { batchSize, inputSize, seed } = options;
  if (extname(target).toLowerCase() === '.onnx') {
    const model = await loadOnnx(await readFile(target), { freeBatch: true, externalData: besideFile(target) });
    const [, channels, height, width] = model.inputs[0]?.shape ?? [];
    const extent = (own: unknown): number => {
      const given = inputSize ?? own;
      if (typeof given === 'number') return given;
      throw new UsageError(`${target} takes images of any size: give --input-size`);
    };
    if (model.inputs.length !== 1 || typeof channels !== 'number')
      throw new UsageError(`${target} has inputs ${model.inputs.map(({ name }) => name).join(', ')}, expected one [N, C, H, W]`);
    return { model, input: [batchSize, channels, extent(height), extent(width)] };
  }
  if (await isRun(target)) {
    if (inputSize !== undefined) throw new UsageError(`${target} is a run, whose network is fixed: leave out --input-size`);
    const { model, preprocess } = await openRun(target);
    const { channels, inputSize: side } = preprocess.options;
    return { model, input: [batchSize, channels, side, side] };
  }
  if (!(target in PRESETS))
    throw new UsageError(
      `'${target}' is neither a run's folder, a preset nor an .onnx file; the presets are ${Object.keys(PRESETS).join(', ')}`,
    );
  const model = namingWrongSize(() => zfnet(target as PresetName, { inputSize, seed }));
  return { model, input: [batchSize, ...model.inputShape.slice(1)] };
}
