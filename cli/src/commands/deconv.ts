/** `zfnet deconv`: projects the activations of single feature maps for an image back to pixels. */
import type { Command } from 'commander';
import {
  type ActivationPlace,
  type DeconvMode,
  fieldSize,
  patchFinder,
  projectMaps,
  type Run,
  strongestMaps,
  type Tensor,
  tensor,
  ValueError,
} from 'zfnet';
import { type Image, readImage } from 'zfnet/data';
import { encodePng, projectionSheet } from 'zfnet/report';
import { defineCommand, handler, oneOf, pngFile, UsageError, whole } from '../command.js';
import { writeOutput } from '../files/write_file.js';
import { asUsage } from '../look.js';
import { layerOption, mapOption, outOption, rulesOption } from '../options.js';
import { openRun } from '../run/runs.js';

interface DeconvOptions {
  layer: string;
  maxPixels?: number;
  map?: number;
  strongest?: number;
  position?: [number, number];
  rules: DeconvMode;
  overlap: 'sum' | 'last';
  out: string;
}

const OVERLAPS = ['sum', 'last'] as const;
const STRONGEST = 9;

const EXAMPLES = [
  'zfnet deconv runs/demo cat.jpg --layer conv5 --out cat.png               # its nine strongest maps',
  'zfnet deconv runs/demo cat.jpg --layer conv3 --map 12 --out cat.png      # map 12, at its maximum',
  'zfnet deconv runs/demo cat.jpg --layer fc8 --map 1 --rules guided --out cat.png',
];

export function deconvCommand(program: Command): void {
  defineCommand(program, 'deconv <run> <image>', 'project the activations of feature maps for an image back to pixels', EXAMPLES)
    .addOption(
      layerOption('the one to project from, such as conv5, pool1 or fc6; a convolution is taken after its ReLU').makeOptionMandatory(),
    )
    .addOption(outOption('PNG file', undefined, pngFile).makeOptionMandatory())
    .addOption(mapOption('the one to project; in a fully connected layer, its unit'))
    .option('--strongest <n>', `project the n maps with the strongest activations (default: ${STRONGEST})`, whole({ min: 1 }))
    .option('--position <y,x>', 'position in the map to project from (default: its maximum)', position)
    .addOption(rulesOption())
    .option(
      '--overlap <rule>',
      'unpooling of a maximum that several windows share: sum (the exact adjoint) or last',
      oneOf(OVERLAPS),
      'sum',
    )
    .action(
      handler(async (context, path: string, file: string, options: DeconvOptions) => {
        const { map, strongest, layer, rules: mode, out } = options;
        if (map !== undefined && strongest !== undefined)
          throw new UsageError('--map selects one map and --strongest several: give one of them');
        if (options.position && map === undefined) throw new UsageError('--position is a position in one map: give --map too');
        await context.engine();
        const run = await openRun(path);
        try {
          const { side, channels } = run.preprocess.options;
          const pixels = await readImage(file, { size: side, channels, pixelLimit: options.maxPixels });
          const { sheet, maps } = await asUsage(() => projectImage(run, pixels, options));
          for (const { map: silent, value } of maps)
            if (value === 0) context.reporter.warn(`map ${silent} of ${layer} has activation 0 at this position: its projection is empty`);
          await writeOutput(out, encodePng(sheet));
          context.result({ layer, mode, maps, out }, () => table(layer, maps, out));
        } finally {
          run.model.dispose();
        }
      }),
    );
}

/** Activation of a map, as printed under `--json`. `patch` is its receptive window: y0, x0, y1, x1 in pixels. */
interface MapAnswer {
  map: number;
  value: number;
  position: [number, number];
  patch: [number, number, number, number];
}

async function projectImage(run: Run, pixels: Image, options: DeconvOptions): Promise<{ sheet: Image; maps: MapAnswer[] }> {
  const { model, preprocess } = run;
  const { layer, rules: mode, overlap } = options;
  const { inputSize, channels } = preprocess.options;
  const values = preprocess.evaluation([pixels]);
  const input = tensor(values, [1, channels, inputSize, inputSize]);
  const places = await choosePlaces(run, input, options);
  const patch = patchFinder(model, layer, input.shape);
  const found = await projectMaps(model, input, layer, places, { mode, overlap });
  const projections = found.map((each) => ({ ...each, patch: patch(each.position) }));
  input.dispose();
  const sheet = projectionSheet({ image: preprocess.toImage(values), projections, field: fieldSize(model, layer, input.shape) });
  const maps = projections.map(
    ({ map, value, position, patch: [y0, x0, y1, x1] }): MapAnswer => ({ map, value, position, patch: [y0, x0, y1, x1] }),
  );
  return { sheet, maps };
}

async function choosePlaces({ model }: Run, input: Tensor, options: DeconvOptions): Promise<ActivationPlace[]> {
  const { layer, map, position, strongest = STRONGEST } = options;
  if (map !== undefined) return [{ map, position }];
  const maps = await strongestMaps(model, input, layer, strongest);
  if (maps.length === 0) throw new ValueError(`no map of layer ${layer} is active for this image: there is nothing to project`);
  return maps.map((found) => ({ map: found }));
}

function position(text: string): [number, number] {
  const numbers = text.split(',').map(whole({ min: 0 }));
  if (numbers.length !== 2) throw new UsageError(`--position is '${text}', expected two whole numbers: y,x`);
  return [numbers[0], numbers[1]];
}

function table(layer: string, maps: readonly MapAnswer[], out: string): string {
  const rows = maps.map(
    ({ map, value, position, patch: [y0, x0, y1, x1] }) =>
      `  map ${String(map).padStart(4)}  activation ${value.toPrecision(4).padStart(8)} at ${position.join(',')}, receptive window: rows ${y0} to ${y1 - 1}, columns ${x0} to ${x1 - 1}`,
  );
  return [layer, ...rows, `written: ${out}`].join('\n');
}
