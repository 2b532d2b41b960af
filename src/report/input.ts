/** What a report is made of, and what its sections are given. */
import type { Dataset } from '../data/dataset.js';
import type { DeconvMode, ProjectedMap } from '../deconv/index.js';
import type { LayerSummary, Network } from '../nn/index.js';
import type { EpochMetrics, Preprocess } from '../zfnet/index.js';
import type { Experiment } from './experiment.js';
import type { Origin } from './origin.js';
import type { Html, PictureEncoder } from './page/html.js';
import type { SplitPredictions } from './predictions.js';

/** How a simpler method does on the same examples. */
export interface Baseline {
  name: string;
  /** In plain words, what it does. */
  description: string;
  /** Top-1 error by split, as fractions. */
  top1Error: Readonly<Record<string, number>>;
}

export interface ReportInput {
  model: Network;
  preprocess: Preprocess;
  /** Opened at the side that `preprocess` expects. */
  dataset: Dataset;
  metrics: readonly EpochMetrics[];
  /** What the network answered, by split, in the order to show; none for images of things that it does not know. */
  predictions: Readonly<Record<string, SplitPredictions>>;
  /** The split that features are looked for in. Default: the first that was predicted, else the first that there is. */
  featureSplit?: string;
  baselines: readonly Baseline[];
  /** How the network came about. Without `origin` the page says nothing of what training began with. */
  training: { examples: number; seconds?: number; engine?: string; origin?: Origin };
  /** Whether `dataset` is what the network was trained on. Default: whether there are metrics of a training. */
  ownData?: boolean;
  /** The command that makes this run and its report again. */
  command: string;
  /** What experiments found, for sections of their own. */
  experiments?: readonly Experiment[];
  /** Maps shown of every layer. Default 11: one open and two rows of five. */
  mapsPerLayer?: number;
  /** How pictures are written into the page. Default: PNG. */
  encodePicture?: PictureEncoder;
  onProgress?: (step: string, done: number, total: number) => void;
}

/** What was found out about one convolution layer. */
export interface LayerFindings extends LayerSummary {
  /** [height, width] of what one activation sees, no larger than the image. */
  field: readonly [number, number];
  maps: number;
  /** Maps that answered to none of the images looked at. */
  dead: number[];
  /** The maps shown: the same nine activations projected in each way. */
  chosen: Readonly<Record<DeconvMode, ProjectedMap>>[];
}

/** What sections are written from. */
export interface ReportContext extends ReportInput {
  featureSplit: string;
  ownData: boolean;
  summaries: readonly LayerSummary[];
  /** Of all convolutions, or of some spread over them where there are many. */
  layers: readonly LayerFindings[];
}

/** A part of the page under a heading of its own. */
export interface Section {
  /** For links: letters and hyphens. */
  id: string;
  title: string;
  body: Html;
}

/** Writes one section, or null where there is nothing to tell. */
export type SectionWriter = (context: ReportContext) => Section | null | Promise<Section | null>;
