/** Wrong usage is status 2 with a sentence on standard error; help is status 0. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { workplace, zfnet } from './support.js';

const place = workplace();

describe('wrong usage', () => {
  it.each([
    ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
    ['an unknown option', ['train', '--out', 'x', '--colour', 'red'], /unknown option '--colour'/],
    ['no command', [], /Usage: zfnet/],
    ['no folder for the run', ['train', '--data', 'bars'], /--out <path>/],
    ['no data', ['train', '--out', 'x'], /give --data SOURCE/],
    ['an unknown preset', ['train', '--data', 'bars', '--out', 'x', '--preset', 'vgg'], /Expected one of a, b,/],
    ['a preset without classes', ['train', '--data', 'bars', '--out', 'x', '--preset', 'faster-rcnn'], /no classes to learn/],
    ['a rate of nothing', ['train', '--data', 'bars', '--out', 'x', '--lr', '0'], /Expected a number, above 0/],
    ['half an epoch', ['train', '--data', 'bars', '--out', 'x', '--epochs', '1.5'], /Expected a whole number/],
    ['a number that is none', ['train', '--data', 'bars', '--out', 'x', '--width', 'wide'], /Expected a number/],
    ['no number at all', ['info', 'a', '--classes', ''], /Expected a whole number/],
    ['an unknown backend', ['info', 'a', '--backend', 'cuda'], /Allowed choices are wasm/],
    [
      'options of two schedules',
      ['train', '--data', 'bars', '--out', 'x', '--schedule', 'cosine', '--patience', '3'],
      /belongs to --schedule plateau/,
    ],
    ['preparing and resuming', ['train', '--out', 'x', '--resume', '--prepare'], /give one of them/],
    ['resuming what is not there', ['train', '--out', 'nowhere', '--resume'], /nowhere is not a run: .* nothing to resume/],
    ['eleven crops', ['evaluate', 'x', '--crops', '11'], /Expected one of 1, 10/],
    ['evaluating what is no run', ['evaluate', 'bars'], /bars is not a run/],
    ['predicting no image', ['predict', 'x'], /missing required argument 'images'/],
    [
      'an input too small for the preset',
      ['train', '--data', 'bars', '--out', 'x', '--preset', 'a', '--input-size', '16'],
      /16 pixels is too small for layer/,
    ],
    ['no room for a layer', ['info', 'a', '--input-size', '8'], /8 pixels is too small for layer/],
    ['info of neither', ['info', 'nothing'], /neither a run's folder nor a preset/],
  ])('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await zfnet(place.path, ...args);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).not.toContain('    at ');
  });

  it('a folder with other content is refused as --out', async () => {
    await mkdir(join(place.path, 'letters'));
    await writeFile(join(place.path, 'letters', 'dear.txt'), 'reader');
    const { status, stderr } = await zfnet(place.path, 'train', '--data', 'bars', '--out', 'letters', '--input-size', '28');
    expect(stderr).toMatch(/letters is not empty/);
    expect(status).toBe(2);
  });
});

describe('help', () => {
  it('shows a tour, and examples and defaults of each command', async () => {
    const top = await zfnet(place.path, '--help');
    expect(top.status).toBe(0);
    expect(top.stdout).toContain('A short tour:');
    const train = await zfnet(place.path, 'train', '--help');
    expect(train.status).toBe(0);
    expect(train.stdout).toMatch(/--data mnist/);
    expect(train.stdout).toMatch(/--momentum <m>\s+with sgd and rmsprop: momentum \(default: 0\.9/);
    expect(train.stdout).toContain('Common options:');
  });

  it('prints the version', async () => {
    const { status, stdout } = await zfnet(place.path, '--version');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('info', () => {
  it('reports the numbers of the paper', async () => {
    const { status, stdout, stderr } = await zfnet(place.path, 'info', 'a', '--json');
    expect(status).toBe(0);
    expect(stderr).toBe('');
    const { totals, layers } = JSON.parse(stdout);
    expect(totals.parameters).toBe(62_357_608);
    expect(totals.multiplyAdds).toBe(1_168_032_896);
    expect(layers.find((layer: { name: string }) => layer.name === 'conv5').outputShape).toEqual([1, 256, 13, 13]);
    // Weights, gradients, velocities, and those activations of 128 images that the backward pass needs, each counted once.
    expect(totals.trainingBytes).toBeGreaterThan(4 * 3 * totals.parameters + 0.5 * 128 * totals.activationBytes);
    expect(totals.trainingBytes).toBeLessThan(4 * 3 * totals.parameters + 128 * totals.activationBytes);
  });

  it('is a table without --json', async () => {
    const { stdout } = await zfnet(place.path, 'info', 'small', '--classes', '10', '--channels', '1');
    expect(stdout).toMatch(/^conv2 +Conv2d +256×14×14 +614,656 /m);
    expect(stdout).toMatch(/^pool5 +MaxPool2d +256×3×3 /m);
    expect(stdout).toMatch(
      /the paper’s recipe, the default of train: mini-batch 128, lr 0\.01 .*momentum 0\.9.*filters limited to rms 0\.1/,
    );
    const parts = await zfnet(place.path, 'info', 'small', '--width', '0.1', '--micro-batch', '16', '--json');
    const whole = await zfnet(place.path, 'info', 'small', '--width', '0.1', '--json');
    const bytes = (text: string) => JSON.parse(text).totals.trainingBytes;
    expect(bytes(parts.stdout)).toBeLessThan(bytes(whole.stdout));
  });
});
