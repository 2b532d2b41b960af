/** The page that shows training: its content during training, and that it stops reloading itself at the end. */
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { type TrainingPageInput, trainingPage } from '../../src/report/index.js';
import { type EpochMetrics, type RunConfig, trainingOptions } from '../../src/zfnet/index.js';

const config: RunConfig = {
  architecture: { preset: 'small', classes: 3, inputSize: 28, channels: 1, width: 0.1, dropout: 0.5 },
  init: 'he',
  data: { source: 'my <photos>', fingerprint: '0', classes: ['a', 'b', 'c'], trainExamples: 1234, valExamples: 10 },
  preprocess: { inputSize: 28, side: 32, channels: 1, scale: 1 },
  training: trainingOptions({ epochs: 9 }),
  engine: { backend: 'wasm', mode: 'strict' },
  changes: [],
};

const epoch = (n: number): EpochMetrics => ({
  epoch: n,
  step: 10 * n,
  lr: n < 3 ? 0.01 : 0.001,
  trainLoss: 1 / n,
  trainTop1Error: 0.5 / n,
  valTop1Error: 0.6 / n,
  valTop5Error: 0,
  imagesPerSecond: 100 + n,
});

async function pageOf(input: Partial<TrainingPageInput>) {
  const now = new Date('2020-02-03T04:05:06Z');
  const text = await trainingPage({ run: 'runs/x', config, metrics: [], steps: [], status: 'training', warnings: [], now, ...input });
  const { document } = parseHTML(text);
  return { text, document, words: (document.body.textContent ?? '').replace(/\s+/g, ' ') };
}

describe('trainingPage', () => {
  it('shows a run within its first epoch, and reloads itself', async () => {
    const steps = [0.1, 0.2, 0.3].map((x) => ({ x, y: 1 - x }));
    const { document, words } = await pageOf({ steps });
    expect(document.querySelector('meta[http-equiv=refresh]')?.getAttribute('content')).toBe('20');
    expect(words).toContain('on my <photos>:');
    expect(words).toContain('0 of 9 epochs finished');
    expect(words).toContain('2020-02-03 04:05:06 UTC');
    expect(words).toContain('runs/x/report/training.html');
    expect(document.querySelectorAll('svg')).toHaveLength(2);
    expect(document.querySelector('#epochs')).toBeNull();
  });

  it('shows epochs (latest first), warnings and lowered rates, and stops reloading when training has ended', async () => {
    const { document, words } = await pageOf({ status: 'done', metrics: [1, 2, 3].map(epoch), warnings: ['conv1: 3 filters <dead>'] });
    expect(document.querySelector('meta[http-equiv=refresh]')).toBeNull();
    const rows = Array.from(document.querySelectorAll('#epochs tbody tr'), (row) => row.textContent?.replace(/\s+/g, ' '));
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatch(/^ ?3.*0\.3333.*0\.001.*103/);
    expect(words).toContain('conv1: 3 filters <dead>');
    expect(words).toContain('learning rate 0.001');
    expect(document.querySelector('svg')?.getAttribute('aria-label')).toBe('The training loss changes from 1.00 to 0.333 over 3 epochs.');
  });
});
