/** Shows the progress of training: bars and lines on the terminal, and the page of curves. */
import type { EpochMetrics, TrainingListener } from 'zfnet';
import type { TrainingPageWriter } from '../../report/training_page.js';
import { duration, percent, type Reporter } from '../../terminal/reporter.js';

/**
 * Returns a listener that shows the training as progress bars, lines and a page of curves.
 *
 * @param before metrics of earlier epochs if the run is resumed
 */
export function listen(reporter: Reporter, page: TrainingPageWriter | null, before: readonly EpochMetrics[]): TrainingListener {
  let epochBar: { epoch: number; bar: ReturnType<Reporter['bar']> } | null = null;
  let phase = '';
  let phaseBar: ReturnType<Reporter['bar']> | null = null;
  let epochStarted = performance.now();
  let total = 0;
  return {
    onStart(config, at) {
      phase = '';
      total = config.training.epochs;
      const { preset, inputSize, channels, width, classes } = config.architecture;
      reporter.say(
        `${at ? 'resuming' : 'training'} ${preset} (width ${width}, input ${channels}×${inputSize}×${inputSize}, ${classes} classes) on ${config.data.source}: ` +
          `${config.data.trainExamples} images, ${total} ${total === 1 ? 'epoch' : 'epochs'}${at ? `, from epoch ${at.epoch + 1}, step ${at.step + 1}` : ''}`,
      );
      page?.start(
        config,
        before.filter(({ epoch }) => epoch <= (at?.epoch ?? 0)),
      );
      epochStarted = performance.now();
    },
    onProgress(now, done, of) {
      if (now !== phase || done === 0 || !phaseBar) phaseBar = reporter.bar(now === 'mean' ? 'mean image' : 'validation', of, 'images');
      phase = now;
      phaseBar.update(done);
    },
    onStep({ epoch, epochs, done, total, loss }) {
      phaseBar = null;
      if (epochBar?.epoch !== epoch) epochBar = { epoch, bar: reporter.bar(`epoch ${epoch}/${epochs}`, total, 'images', done) };
      epochBar.bar.update(done, `loss ${loss.toFixed(3)}`);
      page?.step(epoch, done / total, loss);
    },
    onEpoch(metrics, best) {
      phaseBar = null;
      const { epoch, trainLoss, trainTop1Error, valTop1Error, valTop5Error, lr, imagesPerSecond } = metrics;
      const val = valTop1Error === null ? '' : `, validation error ${percent(valTop1Error)} (top-5 ${percent(valTop5Error ?? 0)})`;
      reporter.say(
        `epoch ${epoch}/${total}: loss ${trainLoss.toFixed(4)}, training error ${percent(trainTop1Error)}${val}, lr ${Number(lr.toPrecision(3))}, ` +
          `${imagesPerSecond} images/s, ${duration((performance.now() - epochStarted) / 1000)}${best?.epoch === epoch ? ', best so far' : ''}`,
      );
      epochStarted = performance.now();
      page?.epoch(metrics);
    },
    onWarning(message) {
      reporter.warn(message);
      page?.warning(message);
    },
  };
}
