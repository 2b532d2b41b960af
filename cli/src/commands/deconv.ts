/** `zfnet deconv`: what single features of a network saw in an image, as a picture. */
import type { Command } from 'commander';
import {
  type ActivationPlace,
  type DeconvMode,
  fieldSize,
  patchFinder,
  projectMaps,
  RULES,
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
import { openRun } from '../run/runs.js';

interface DeconvOptions {
  layer: string;
  maxPixels?: number;
  map?: number;
  strongest?: number;
  position?: [number, number];
  mode: DeconvMode;
  overlap: 'sum' | 'last';
  out: string;
}

const MODES = Object.keys(RULES) as DeconvMode[];
const OVERLAPS = ['sum', 'last'] as const;
const STRONGEST = 9;

const EXAMPLES = [
  'zfnet deconv runs/demo cat.jpg --layer conv5 --out cat.png               # the nine strongest maps',
  'zfnet deconv runs/demo cat.jpg --layer conv3 --map 12 --out cat.png      # one map, where it is strongest',
  'zfnet deconv runs/demo cat.jpg --layer fc8 --map 1 --mode guided --out cat.png',
];

export function deconvCommand(program: Command): void {
  defineCommand(program, 'deconv <run> <image>', 'project what features of a network saw in an image back to pixels', EXAMPLES)
    .requiredOption('--layer <name>', 'conv1 … conv5, pool1 …, fc6 …; a convolution is looked at behind its ReLU')
    .requiredOption('--out <file>', 'the picture: a PNG file', pngFile)
    .option('--map <k>', 'this map (or unit) of the layer', whole({ min: 0 }))
    .option('--strongest <n>', `the maps that answer most strongly (default: ${STRONGEST})`, whole({ min: 1 }))
    .option('--position <y,x>', 'this place of the map (default: where it is strongest)', position)
    .option('--mode <mode>', `what is asked: ${MODES.join(', ')}`, oneOf(MODES), 'deconvnet')
    .option('--overlap <rule>', 'where pooling windows share a maximum: sum (the exact adjoint) or last', oneOf(OVERLAPS), 'sum')
    .action(
      handler(async (context, path: string, file: string, options: DeconvOptions) => {
        const { map, strongest, layer, mode, out } = options;
        if (map !== undefined && strongest !== undefined)
          throw new UsageError('--map names one map, --strongest asks for several: give one of them');
        if (options.position && map === undefined) throw new UsageError('--position belongs to a map: give --map too');
        await context.engine();
        const run = await openRun(path);
        try {
          const { side, channels } = run.preprocess.options;
          const pixels = await readImage(file, { size: side, channels, pixelLimit: options.maxPixels });
          const { sheet, maps } = await asUsage(() => projectImage(run, pixels, options));
          for (const { map: silent, value } of maps)
            if (value === 0)
              context.reporter.warn(`map ${silent} of ${layer} does not answer to this image there: its projection is empty`);
          await writeOutput(out, encodePng(sheet));
          context.result({ layer, mode, maps, out }, () => table(layer, maps, out));
        } finally {
          run.model.dispose();
        }
      }),
    );
}

/** What a map answered, as `--json` tells it. */
interface MapAnswer {
  map: number;
  value: number;
  position: [number, number];
  patch: [number, number, number, number];
}

async function projectImage(run: Run, pixels: Image, options: DeconvOptions): Promise<{ sheet: Image; maps: MapAnswer[] }> {
  const { model, preprocess } = run;
  const { layer, mode, overlap } = options;
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
  if (maps.length === 0) throw new ValueError(`no map of layer ${layer} answers to this image: there is nothing to project`);
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
      `  map ${String(map).padStart(4)}  answer ${value.toPrecision(4).padStart(8)}  at ${position.join(',')}, sees rows ${y0} to ${y1 - 1}, columns ${x0} to ${x1 - 1}`,
  );
  return [layer, ...rows, `written: ${out}`].join('\n');
}
