/** How the network got better: loss and error after each round through the images. */
import { curves } from '../charts.js';
import { html } from '../html.js';
import type { ReportContext, Section } from '../input.js';
import { count, percent, plural } from '../words.js';

export function learningSection({ metrics, dataset }: ReportContext): Section | null {
  if (metrics.length < 2) return null;
  const classes = dataset.classes.length;
  const drops = metrics.slice(1).filter(({ lr }, i) => lr < 0.999 * metrics[i].lr);
  // Rates that fall a little every round are no events.
  const marks = drops.length <= 4 ? drops.map(({ epoch, lr }) => ({ x: epoch - 0.5, text: `rate ${Number(lr.toPrecision(2))}` })) : [];
  const [first, last] = [metrics[0], metrics[metrics.length - 1]];
  const points = (y: (m: (typeof metrics)[number]) => number | null) =>
    metrics.flatMap((m) => {
      const value = y(m);
      return value === null || !Number.isFinite(value) ? [] : [{ x: m.epoch, y: value }];
    });
  const speed = metrics.reduce((sum, m) => sum + (m.imagesPerSecond ?? 0), 0) / metrics.length;
  const validated = last.valTop1Error !== null;
  return {
    id: 'learning',
    title: 'How it learned',
    body: html`<p>The network begins with random filters and answers at random. After every image it is nudged towards the right answer, and one
round through all images is an epoch. The <em>loss</em> is what the nudges bring down: the surprise at the right answer, which is near zero
for someone who is sure and right. What counts in the end is the <em>error</em>, the share of wrong answers, above all on images that
are not learned from: if it stayed high there while the other fell, the network would be learning by heart.</p>
<div class="charts">
<figure>${curves({
      series: [{ name: 'training', colour: 'var(--accent)', points: points((m) => m.trainLoss) }],
      x: 'epoch',
      y: 'loss (nats)',
      guess: Math.log(classes),
      label: `The training loss falls from ${first.trainLoss.toFixed(2)} to ${last.trainLoss.toFixed(3)} over ${plural(metrics.length, 'epoch')}.`,
      marks,
    })}<figcaption>Surprise at the right answer.</figcaption></figure>
<figure>${curves({
      series: [
        { name: 'training', colour: 'var(--accent)', points: points((m) => m.trainTop1Error) },
        ...(validated ? [{ name: 'unseen', colour: 'var(--warm)', points: points((m) => m.valTop1Error) }] : []),
      ],
      x: 'epoch',
      y: 'wrong answers (%)',
      guess: 1 - 1 / classes,
      label: `The share of wrong answers in training falls from ${percent(first.trainTop1Error)} to ${percent(last.trainTop1Error)}${
        validated ? `, on unseen images to ${percent(last.valTop1Error!)}` : ''
      }.`,
      marks,
      percent: true,
    })}<figcaption>Wrong answers, in training and on unseen images. Training counts while the network still changes, and with half of its upper
units switched off at random (dropout), so it can look worse there.</figcaption></figure>
</div>
${marks.length > 0 && html`<p class="note">Dotted lines: the learning rate, the size of the nudges, was lowered.</p>`}
${speed > 0 && html`<p class="note">Speed: ${count(Math.round(speed))} images a second.</p>`}`,
  };
}
