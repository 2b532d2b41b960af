/** The layers of a network that run on windows, grouped into stages, and their activations for the unchanged image. */
import { type LayeredModel, type Module, Sequential } from '../../nn/index.js';
import type { Shape, Tensor } from '../../tensor/index.js';
import type { Patch } from '../activations/receptive_fields.js';
import { IDENTITY, isPointwise, padded, reachedOutputs, type WindowLayer, windowLayer } from './windows.js';

/** A layer that runs on windows, together with the pointwise layers that follow it. */
export interface Stage {
  /** Name of the last layer of the stage, whose output is that of the stage. */
  name: string;
  window: WindowLayer;
  pointwise: Module[];
  /** [height, width] of the stage's output for an input [1, C, H, W]. */
  outputs(input: Shape): readonly [number, number];
}

/** Activations of the unchanged image at one stage. */
export interface Clean {
  /** Input of the stage with its padding, [1, C, H, W]. */
  input: Tensor;
  /** [height, width] of the stage's output. */
  outputs: readonly [number, number];
}

/** Limit on the bytes of windows that are held between two layers. */
const HELD_BYTES = 2 ** 28;

/** Splits a network before the first layer that cannot run on windows: one with a global receptive field or of an unknown kind. */
export function splitStages(model: Sequential, watch: readonly string[]): { stages: Stage[]; rest: LayeredModel } {
  const row = model.children();
  const stages: Stage[] = [];
  let at = 0;
  // The last layer outputs one row of class scores per image, so it always runs whole.
  for (; at < row.length - 1; at++) {
    const [name, layer] = row[at];
    const window = windowLayer(layer);
    const before = stages.at(-1);
    // Layers that run on windows report their output shapes.
    if (window) stages.push({ name, window, pointwise: [], outputs: (input) => sidesOf(layer.outputShape(input)!) });
    else if (!isPointwise(layer)) break;
    else if (before && !watch.includes(before.name)) {
      before.name = name;
      before.pointwise.push(layer);
    } else stages.push({ name, window: IDENTITY, pointwise: [layer], outputs: sidesOf });
  }
  const rest = at === 0 ? model : new Sequential(Object.fromEntries(row.slice(at)));
  return { stages, rest };
}

const sidesOf = (shape: Shape): readonly [number, number] => [shape[2], shape[3]];

/** Activations of the unchanged image at every stage, and the output of the last stage. */
export function runClean(stages: readonly Stage[], image: Tensor): { clean: Clean[]; last: Tensor } {
  let map = image.detach();
  const clean = stages.map((stage): Clean => {
    const outputs = stage.outputs(map.shape);
    const input = padded(map, stage.window, outputs);
    map = runStage(stage, input);
    return { input, outputs };
  });
  return { clean, last: map };
}

export const runStage = ({ window, pointwise }: Stage, piece: Tensor): Tensor =>
  pointwise.reduce((x, layer) => layer.forward(x), window.run(piece));

/**
 * Number of changes whose windows fit into `HELD_BYTES`.
 *
 * @param last output of the last stage for the unchanged image
 * @param boxes the windows of the image that change
 */
export function changesAtOnce(stages: readonly Stage[], clean: readonly Clean[], last: Tensor, boxes: readonly Patch[]): number {
  const largest: Patch[] = boxes.map((box) => box);
  let most = 0;
  let before = 0;
  for (const [i, { window }] of stages.entries()) {
    const { outputs } = clean[i];
    let area = 0;
    for (const [m, box] of largest.entries()) {
      largest[m] = reachedOutputs(box, window.geometry, outputs);
      const [y0, x0, y1, x1] = largest[m];
      area = Math.max(area, (y1 - y0) * (x1 - x0));
    }
    const next = clean[i + 1]?.input ?? last;
    const bytes = 4 * next.shape[1] * area;
    most = Math.max(most, before + bytes);
    before = bytes;
  }
  return most > 0 ? Math.max(1, Math.floor(HELD_BYTES / most)) : Math.max(1, boxes.length);
}
