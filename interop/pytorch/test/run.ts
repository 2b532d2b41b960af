/**
 * `npm run test:pytorch`: trains the same small ZFNet with zfnet and with PyTorch, with one and with two processes, and compares the
 * losses; then opens the runs of PyTorch with `zfnet`. Prints the measured differences.
 *
 * Needs a Python with torch, numpy and Pillow (Debian: python3-torch python3-pil): `PYTHON`, /usr/bin/python3 or python3. Without one it
 * prints a message and ends with exit status 0, or 1 with `--required`. `--write` rewrites the fixture of test/zfnet/pytorch.test.ts.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FolderStore } from '../../../cli/src/run/run_folder.js';
import { lockRun } from '../../../cli/src/run/run_lock.js';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../../../src/formats/checkpoint.js';
import { type HostTensor, readSafetensors, saveSafetensors } from '../../../src/formats/safetensors.js';
import { type EpochMetrics, init, noGrad, PRESETS, type PresetName, randn, zfnet } from '../../../src/index.js';
import {
  ARGUMENTS,
  EPOCHS,
  FAR,
  IMAGES,
  losses,
  MAX_RMS,
  NEAR,
  STEPS_AN_EPOCH,
  worst,
  writeImages,
} from '../../../test/zfnet/pytorch_recipe.js';
import { CLASSES } from '../../../test/zfnet/support.js';

const execute = promisify(execFile);
const TRAIN = join(import.meta.dirname, '../train.py');
const FIXTURE = join(import.meta.dirname, '../../../test/fixtures/pytorch_run.json');
const LAUNCHER = join(import.meta.dirname, '../../../cli/bin/zfnet.js');

const python = await findPython();
if (!python) {
  console.log('left out: no Python here has torch, numpy and PIL (Debian: apt-get install python3-torch python3-pil)');
  process.exit(process.argv.includes('--required') ? 1 : 0);
}
const place = await mkdtemp(join(tmpdir(), 'zfnet-pytorch-'));
const started = performance.now();
let passed = 0;
const failures: string[] = [];
try {
  await main();
} finally {
  await rm(place, { recursive: true, force: true });
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failures.length} failed, in ${((performance.now() - started) / 1000).toFixed(0)} s`);
process.exit(failures.length > 0 || passed === 0 ? 1 : 0);

async function main(): Promise<void> {
  await init({ backend: 'wasm', threads: 2 });
  await checkPresets();

  const images = join(place, 'bars');
  await writeImages(images);
  const begun = join(place, 'begun');
  await zfnetCommand('train', '--data', images, '--out', begun, ...ARGUMENTS, '--prepare');

  const here = await copied(begun, 'here');
  const ours = await losses(images, new FolderStore(here), true);
  const one = await copied(begun, 'one');
  const alone = await trainThere(1, one, images);
  check('200 steps took place on both sides', ours.length === EPOCHS * STEPS_AN_EPOCH && alone.length === ours.length);
  check('the network learnt', mean(ours.slice(-STEPS_AN_EPOCH)) < 0.95 * mean(ours.slice(0, STEPS_AN_EPOCH)));
  within('one process, first 20 losses against ours', worst(alone.slice(0, 20), ours.slice(0, 20)), NEAR);
  within(`one process, all ${ours.length} losses against ours`, worst(alone, ours), FAR);
  await checkSameRun(here, one);

  if (process.argv.includes('--write')) await writeFixture(alone);

  const two = await copied(begun, 'two');
  const shared = await trainThere(2, two, images, '--epochs', '1');
  within('two processes, 20 losses against one process', worst(shared, alone.slice(0, 20)), NEAR);
  within('two processes, 20 losses against ours', worst(shared, ours.slice(0, 20)), NEAR);

  await checkBareStart(begun, images);
  await checkStop(begun, images, alone);
  await checkOpens(one, images);
  await checkGoesOn(one, images);
  await checkErrors(begun, images);
  await checkLock(begun, images);
  await checkStrict();
}

/** Every preset of ZFNet, and a variant, has the same outputs with the same weights; zfnet.py has no other networks. */
async function checkPresets(): Promise<void> {
  const folder = join(place, 'presets');
  await mkdir(folder);
  const outputs = new Map<string, ArrayLike<number>>();
  const variant = { without: ['conv4', 'fc7'], maps: [96, 128, 64, 384, 512], units: [2048, 4096] } as const;
  const networks = [
    ...Object.keys(PRESETS)
      .filter((preset) => 'conv' in PRESETS[preset as PresetName])
      .map((preset) => ({ name: preset, preset, variant: {} })),
    { name: 'variant', preset: 'a', variant },
  ];
  for (const { name, preset, variant } of networks) {
    const inputSize = preset === 'small' ? 40 : 110;
    const options = { classes: 7, inputSize, width: 0.07, init: 'he', seed: 9, ...variant } as const;
    const model = zfnet(preset as PresetName, options).eval();
    const input = randn([2, 3, inputSize, inputSize]);
    const output = noGrad(() => model.forward(input));
    outputs.set(name, await output.data());
    const bytes = saveSafetensors({ ...model.stateDict(), input }, { architecture: JSON.stringify(model.architecture) });
    await writeFile(join(folder, `${name}.safetensors`), bytes);
    for (const each of [model, input, output]) each.dispose();
  }
  await execute(python as string, [join(import.meta.dirname, 'outputs.py'), folder]);
  for (const [name, expected] of outputs) {
    const { output } = readSafetensors(await readFile(join(folder, `${name}.output`))).tensors;
    within(`${name}: outputs against ours`, distance(output.data, expected), 1e-5);
  }
}

/** Trains a run with PyTorch in `processes` processes and returns its losses. */
async function trainThere(processes: number, run: string, images: string, ...more: string[]): Promise<number[]> {
  const { status, output, log } = await startThere(processes, run, images, ...more).ended;
  if (status !== 0) throw new Error(`train.py ended with ${status}:\n${output}`);
  return lossesIn(log);
}

interface Started {
  child: ChildProcess;
  log: string;
  ended: Promise<{ status: number | null; output: string; log: string }>;
}

function startThere(processes: number, run: string, images: string, ...more: string[]): Started {
  const log = join(place, `${processes}-${Math.random()}.jsonl`);
  const script = [TRAIN, run, '--data', images, '--backend', 'gloo', '--workers', '0', '--log', log, ...more];
  // torchrun of PyTorch 1.13 under Python 3.11 (Debian 12) starts no process unless the output is redirected.
  const redirect = ['--redirects', '1', '--tee', '1', '--log_dir', join(place, 'logs')];
  const launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', `${processes}`, ...redirect];
  const env = { ...process.env, OMP_NUM_THREADS: `${2 / processes}`, PYTHONDONTWRITEBYTECODE: '1' };
  const child = spawn(python as string, processes === 1 ? script : [...launcher, ...script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  const ended = new Promise<Awaited<Started['ended']>>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output, log }));
  });
  return { child, log, ended };
}

/** Writes the losses that test/zfnet/pytorch.test.ts compares with on machines without PyTorch. */
async function writeFixture(alone: readonly number[]): Promise<void> {
  const numbers = alone.map((loss) => Number(loss.toPrecision(8)));
  await writeFile(FIXTURE, `${JSON.stringify(numbers).replaceAll(',', ',\n')}\n`);
}

/** Compares the metrics and the last checkpoints of both sides. */
async function checkSameRun(here: string, there: string): Promise<void> {
  const [ours, theirs] = [await metricsOf(here), await metricsOf(there)];
  const keys = (all: EpochMetrics[]) => Object.keys(all[0]).join();
  check('metrics.jsonl has our fields', keys(theirs) === keys(ours));
  check(
    'metrics.jsonl: epochs, steps and rates are ours',
    ours.length === theirs.length &&
      ours.every((line, i) => (['epoch', 'step', 'lr'] as const).every((key) => line[key] === theirs[i][key])),
  );
  const [a, b] = [await checkpointOf(here), await checkpointOf(there)];
  check('the checkpoint has our tensors', names(a.weights) === names(b.weights) && names(a.velocities) === names(b.velocities));
  check('the checkpoint has our metadata', Object.keys(a.info).sort().join() === Object.keys(b.info).sort().join());
  const limited = filterSizes(b.weights).filter((rms) => rms > MAX_RMS * (1 - 1e-5));
  check('the limit on filters acted', limited.length > 0 && filterSizes(b.weights).every((rms) => rms < MAX_RMS * (1 + 1e-5)));
  const all = filterSizes(b.weights).length;
  const distances = Object.keys(a.weights).map((name) => distance(b.weights[name].data, a.weights[name].data));
  console.log(
    `        ${limited.length} of ${all} filters at the limit; weights differ by ${Math.max(...distances).toExponential(1)} of the largest`,
  );
}

/** From config.json alone: the mean image and the initial weights that would have begun here. */
async function checkBareStart(begun: string, images: string): Promise<void> {
  const bare = await copied(begun, 'bare');
  await rm(join(bare, 'last.safetensors'));
  await trainThere(2, bare, images, '--epochs', '0');
  const [ours, theirs] = [await checkpointOf(begun), await checkpointOf(bare)];
  check('config.json alone gives our mean image, bit for bit', same(ours.mean, theirs.mean));
  const distances = Object.keys(ours.weights).map((name) => distance(theirs.weights[name].data, ours.weights[name].data));
  within('config.json alone gives our initial weights', Math.max(...distances), 1e-6);
}

/** A run stopped by a signal within an epoch resumes with the same losses. */
async function checkStop(begun: string, images: string, expected: number[]): Promise<void> {
  const run = await copied(begun, 'stopped');
  const first = startThere(2, run, images, '--epochs', '1');
  while ((await lossesIn(first.log)).length < 5) {
    if (first.child.exitCode !== null) throw new Error(`train.py ended too early:\n${(await first.ended).output}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  first.child.kill('SIGTERM');
  const { status } = await first.ended;
  const before = await lossesIn(first.log);
  const after = await trainThere(1, run, images);
  check('stopped by a signal: status, and fewer steps', status !== 0 && before.length < STEPS_AN_EPOCH);
  within(`stopped after ${before.length} steps and resumed`, worst([...before, ...after], expected.slice(0, STEPS_AN_EPOCH)), NEAR);
  const { info } = await checkpointOf(run);
  check('stopped and resumed: one line per epoch', (await metricsOf(run)).length === 1 && (info.training as { step: number }).step === 20);
}

/** The commands of zfnet open a run of PyTorch. */
async function checkOpens(run: string, images: string): Promise<void> {
  const best = (await metricsOf(run)).reduce((a, b) => ((b.valTop1Error ?? 1) < (a.valTop1Error ?? 1) ? b : a));
  const { examples, top1Error, top5Error } = await zfnetCommand('evaluate', run, '--data', images);
  check(
    'evaluate: the error that PyTorch counted',
    examples === IMAGES.val && top1Error === best.valTop1Error && top5Error === best.valTop5Error,
  );
  const { report } = await zfnetCommand('report', run);
  check('report: a page', (await readFile(report, 'utf8')).includes('</html>'));
  const picture = join(place, 'seen.png');
  const image = join(images, 'val', CLASSES[1], '1.png');
  const { maps } = await zfnetCommand('deconv', run, image, '--layer', 'conv5', '--out', picture);
  check(
    'deconv: nine projections',
    maps.length === 9 && maps.every(({ value }: { value: number }) => value > 0) && (await readFile(picture)).length > 1000,
  );
}

/** zfnet resumes a run of PyTorch, and PyTorch resumes it after that. */
async function checkGoesOn(run: string, images: string): Promise<void> {
  await zfnetCommand('train', '--out', run, '--resume', '--epochs', `${EPOCHS + 1}`);
  await trainThere(1, run, images, '--epochs', `${EPOCHS + 2}`);
  const metrics = await metricsOf(run);
  check(
    'train --resume resumes the run, and PyTorch resumes it after that',
    metrics.map(({ epoch }) => epoch).join() === Array.from({ length: EPOCHS + 2 }, (_, i) => i + 1).join() &&
      metrics.slice(-2).every(({ trainLoss }) => trainLoss < 0.95 * metrics[0].trainLoss),
  );
}

async function checkErrors(begun: string, images: string): Promise<void> {
  const says = async (what: string, run: string, data: string, message: RegExp) => {
    const { status, output } = await startThere(1, run, data).ended;
    check(`error: ${what}`, status === 1 && message.test(output) && !output.includes('Traceback'));
  };
  await says('no run there', join(place, 'nowhere'), images, /nowhere is not a run: .*--prepare/);
  const fewer = join(place, 'fewer');
  await cp(images, fewer, { recursive: true });
  await rm(join(fewer, 'val', CLASSES[0], '0.png'));
  await says('fewer images', begun, fewer, /153 images for training and 44 for validation, the run has 153 and 45/);
  for (const split of ['train', 'val']) await rm(join(fewer, split, CLASSES[0]), { recursive: true });
  await says('a class less', begun, fewer, new RegExp(`2 classes, the run has 3, missing: ${CLASSES[0]}`));
  const cut = await copied(begun, 'cut');
  const bytes = await readFile(join(cut, 'last.safetensors'));
  await writeFile(join(cut, 'last.safetensors'), bytes.subarray(0, bytes.length - 4));
  await says('a checkpoint that was cut off', cut, images, /last\.safetensors: .*damaged/);
}

/** zfnet and PyTorch respect each other's lock. */
async function checkLock(begun: string, images: string): Promise<void> {
  const run = await copied(begun, 'locked');
  const lock = await lockRun(run);
  const { status, output } = await startThere(1, run, images).ended;
  check(
    'lock: PyTorch respects that of zfnet',
    status === 1 && output.includes(`is being written by process ${process.pid}`) && !output.includes('Traceback'),
  );
  await lock.check();
  await lock.release();
  const training = startThere(1, run, images, '--epochs', '1');
  while ((await lossesIn(training.log)).length < 1 && training.child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 20));
  const refused = await zfnetCommand('train', '--out', run, '--resume').catch((error) => String(error.stderr));
  check('lock: zfnet respects that of PyTorch', String(refused).includes(`is being written by process ${training.child.pid}`));
  training.child.kill('SIGKILL');
  await training.ended;
  check('lock: a killed process leaves its lock file behind', existsSync(join(run, 'lock.json')));
  await trainThere(1, run, images, '--epochs', '1');
  check('lock: PyTorch takes over a stale lock and removes it at the end', !existsSync(join(run, 'lock.json')));
}

/** Damaged checkpoints are refused, and symbolic links that lead out of a run are not followed. */
async function checkStrict(): Promise<void> {
  const folder = join(place, 'strict');
  await mkdir(join(folder, 'outside'), { recursive: true });
  await writeFile(join(folder, 'outside/file'), 'mine');
  const data = Float32Array.from([1, -2, 3]);
  const info = { architecture: { preset: 'a' }, training: { epoch: 1 } };
  const whole = encodeCheckpoint({
    weights: { w: { shape: [3], data } },
    velocities: { w: { shape: [3], data } },
    mean: { shape: [1, 1, 1], data: Float32Array.of(5) },
    info,
  });
  const header = (entries: string) => {
    const text = new TextEncoder().encode(`{"__metadata__":{"zfnet.checkpoint":"1"},${entries}}`.padEnd(240));
    return Buffer.concat([Buffer.from(BigUint64Array.of(BigInt(text.length)).buffer), text, Buffer.from(data.buffer)]);
  };
  const entry = (name: string, from: number, to: number, more = '"dtype":"F32","shape":[3]') =>
    `"${name}":{${more},"data_offsets":[${from},${to}]}`;
  const files: Record<string, [Uint8Array, RegExp]> = {
    whole: [whole, /^ok$/],
    plain: [header(entry('w', 0, 12)), /^ok$/],
    cut: [whole.subarray(0, whole.length - 4), /damaged/],
    twice: [header(`${entry('w', 0, 12)},${entry('w', 0, 12)}`), /appears twice/],
    overlap: [header(`${entry('w', 0, 12)},${entry('v', 0, 12)}`), /starts at byte 0, expected 12/],
    gap: [header(entry('w', 4, 12, '"dtype":"F32","shape":[2]')), /starts at byte 4, expected 0/],
    behind: [header(entry('w', 0, 16)), /outside the 12 bytes/],
    shape: [header(entry('w', 0, 12, '"dtype":"F32","shape":[-3]')), /not a list of whole numbers/],
    type: [header(entry('w', 0, 12, '"dtype":"F31","shape":[3]')), /type "F31"/],
    nan: [encodeCheckpoint({ weights: { w: { shape: [1], data: Float32Array.of(Number.NaN) } }, velocities: {}, info }), /NaN/],
    infinite: [
      encodeCheckpoint({ weights: { w: { shape: [1], data: Float32Array.of(Number.POSITIVE_INFINITY) } }, velocities: {}, info }),
      /infinity/,
    ],
  };
  for (const [name, [bytes]] of Object.entries(files)) await writeFile(join(folder, `${name}.safetensors`), bytes);
  const { stdout } = await execute(python as string, [join(import.meta.dirname, 'strict.py'), folder]);
  const found = JSON.parse(stdout);
  for (const [name, [, expected]] of Object.entries(files)) check(`checkpoint: ${name}`, expected.test(found[`${name}.safetensors`]));
  check(`checkpoint: ${whole.length} changed bytes, none passes`, found['changed bytes that pass'] === 0);
  check(
    'checkpoint: written again, it has its checksum',
    names(decodeCheckpoint(await readFile(join(folder, 'again')), 'again').weights) === 'w',
  );
  check('links: a file is replaced', found['write over a link'] === 'ok' && found['read of what was written'] === "b'weights'");
  check('links: not appended to', /symbolic link/.test(found['append to a link']));
  check('links: not entered', /symbolic link or a file, expected a folder/.test(found['write into a linked folder']));
  check('a FIFO is refused', /not a regular file/.test(found['read a FIFO']));
  check('nothing is left behind', found.left === 'checkpoints fifo last.safetensors last.safetensors.part metrics.jsonl');
  const outside = await readdir(join(folder, 'outside'));
  check('nothing was written outside', outside.join() === 'file' && (await readFile(join(folder, 'outside/file'), 'utf8')) === 'mine');
}

// Helpers

async function findPython(): Promise<string | undefined> {
  for (const candidate of [process.env.PYTHON, '/usr/bin/python3', 'python3']) {
    if (!candidate) continue;
    try {
      const { stdout } = await execute(candidate, [
        '-c',
        'import torch, numpy, PIL; print(torch.__version__, numpy.__version__, PIL.__version__)',
      ]);
      const [torch, numpy, pillow] = stdout.trim().split(' ');
      console.log(`${candidate}: PyTorch ${torch}, numpy ${numpy}, Pillow ${pillow}`);
      return candidate;
    } catch {
      // This Python lacks a package; try the next one.
    }
  }
  return undefined;
}

/** Runs the built command line with `--json` and returns its result. */
async function zfnetCommand(...args: string[]) {
  const { stdout } = await execute(process.execPath, [LAUNCHER, ...args, '--json', '--threads', '2'], { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout);
}

async function copied(from: string, name: string): Promise<string> {
  const to = join(place, name);
  await cp(from, to, { recursive: true });
  return to;
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}

async function lossesIn(log: string): Promise<number[]> {
  return (await linesOf(log)).map((line) => JSON.parse(line).loss);
}

async function metricsOf(run: string): Promise<EpochMetrics[]> {
  return (await linesOf(join(run, 'metrics.jsonl'))).map((line) => JSON.parse(line));
}

async function checkpointOf(run: string): Promise<Checkpoint> {
  return decodeCheckpoint(await readFile(join(run, 'last.safetensors')), run);
}

function names(tensors: Record<string, HostTensor>): string {
  return Object.keys(tensors).sort().join();
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function same(a: HostTensor | undefined, b: HostTensor | undefined): boolean {
  if (!a || !b) return false;
  return a.shape.join() === b.shape.join() && a.data.every((value, i) => value === b.data[i]);
}

/** Returns the root mean square of every convolution filter. */
function filterSizes(weights: Record<string, HostTensor>): number[] {
  return Object.values(weights).flatMap(({ shape, data }) => {
    if (shape.length !== 4) return [];
    const size = data.length / shape[0];
    return Array.from({ length: shape[0] }, (_, row) =>
      Math.sqrt(mean(Array.from(data.subarray(row * size, (row + 1) * size), (w) => w * w))),
    );
  });
}

/** Returns the largest absolute difference, relative to the largest expected value. */
function distance(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return Number.NaN;
  let largest = 0;
  let apart = 0;
  for (let i = 0; i < got.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]));
    apart = Math.max(apart, Math.abs(got[i] - expected[i]));
  }
  return apart / (largest || 1);
}

function check(what: string, ok: boolean): void {
  if (ok) passed++;
  else failures.push(what);
  console.log(`${ok ? 'passed' : 'FAILED'}  ${what}`);
}

function within(what: string, difference: number, limit: number): void {
  check(`${what}: ${difference.toExponential(1)} at most, ${limit} allowed`, difference <= limit);
}
