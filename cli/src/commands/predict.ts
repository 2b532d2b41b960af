/** `zfnet predict`: prints the most probable classes of images. */
import type { Command } from 'commander';
import { type Prediction, predict } from 'zfnet';
import { DataError, readImage } from 'zfnet/data';
import { visible } from 'zfnet/report';
import { defineCommand, handler, oneOf, whole } from '../command.js';
import { openRun } from '../run/runs.js';
import { percent } from '../terminal/reporter.js';

interface PredictOptions {
  top: number;
  maxPixels?: number;
  crops: '1' | '10';
}

interface ImagePrediction {
  image: string;
  top: Prediction[];
}

export function predictCommand(program: Command): void {
  defineCommand(program, 'predict <run> <images...>', 'print the most probable classes of images', [
    'zfnet predict runs/photos cat.jpg',
    'zfnet predict runs/photos holiday/*.jpg --top 1 --json',
  ])
    .option('--top <k>', 'number of classes per image', whole({ min: 1 }), 5)
    .option(
      '--crops <n>',
      'crops per image whose probabilities are averaged: 1 (centre) or 10 (corners and centre, also mirrored if training used mirroring)',
      oneOf(['1', '10']),
      '1',
    )
    .action(
      handler(async (context, path: string, images: string[], options: PredictOptions) => {
        await context.engine();
        const run = await openRun(path);
        const { side, channels } = run.preprocess.options;
        const predicted: ImagePrediction[] = [];
        const unreadable: string[] = [];
        const bar = context.reporter.bar('predicting', images.length, 'images');
        for (const image of images) {
          try {
            const pixels = await readImage(image, { size: side, channels, pixelLimit: options.maxPixels });
            const [top] = await predict(run, [pixels], { top: options.top, crops: options.crops === '10' ? 10 : 1 });
            predicted.push({ image, top });
          } catch (error) {
            if (!(error instanceof Error) || error.name !== 'DataError') throw error;
            unreadable.push(error.message);
          }
          bar.update(predicted.length + unreadable.length);
        }
        run.model.dispose();
        context.result(predicted, () => predicted.map(table).join('\n'));
        if (unreadable.length > 0)
          throw new DataError(`${unreadable.length} of ${images.length} images could not be read:\n  ${unreadable.join('\n  ')}`);
      }),
    );
}

function table({ image, top }: ImagePrediction): string {
  const names = top.map((each) => visible(each.class));
  const width = Math.max(...names.map(({ length }) => length));
  return [visible(image), ...top.map((each, i) => `  ${names[i].padEnd(width)}  ${percent(each.probability).padStart(8)}`)].join('\n');
}
