/** Types of the input of a report, and of the context that its sections are written from. */
import type { Dataset } from '../data/dataset.js';
import type { DeconvMode, ProjectedMap } from '../deconv/index.js';
import type { LayerSummary, Network } from '../nn/index.js';
import type { EpochMetrics, Preprocess } from '../zfnet/index.js';
import type { Experiment } from './experiment.js';
import type { Origin } from './origin.js';
import type { PictureEncoder } from './page/html.js';
import type { Section } from './page/section.js';
import type { SplitPredictions } from './predictions.js';

/** Errors of a simpler method on the same examples. */
export interface Baseline {
  /** Short name for the table, such as `nearest neighbour in pixels`. */
  name: string;
  /** Description of the method in plain words. */
  description: string;
  /** Top-1 error by split, as fractions. */
  top1Error: Readonly<Record<string, number>>;
}

/** What a report is built from. */
export interface ReportInput {
  /** The trained network. It runs in evaluation mode, and its own mode is restored. */
  model: Network;
  /** Preprocessing that belongs to the network, mean image included. */
  preprocess: Preprocess;
  /** Opened at the side that `preprocess` expects. */
  dataset: Dataset;
  /** Metrics per epoch for the learning curves; empty for an imported network, which then has no curves. */
  metrics: readonly EpochMetrics[];
  /** Predictions of the network by split, in the order in which they are shown; empty if the network lacks a class of the data. */
  predictions: Readonly<Record<string, SplitPredictions>>;
  /** Split whose images the features are shown on. Default: the first split with predictions, otherwise the first split. */
  featureSplit?: string;
  /** Simpler methods that the error table compares with; empty for none. */
  baselines: readonly Baseline[];
  /** How the network was trained. Without `origin` the page does not say how its weights were initialised. */
  training: { examples: number; seconds?: number; engine?: string; origin?: Origin };
  /** Whether the network was trained on `dataset`. Default: whether there are metrics of a training. */
  ownData?: boolean;
  /** Command line that repeats this run and its report. */
  command: string;
  /** Results of experiments; each gets a section of its own. */
  experiments?: readonly Experiment[];
  /** Number of maps shown per layer. Default 11: one open and two rows of five. */
  mapsPerLayer?: number;
  /** Encodes the pictures of the page. Default: PNG. */
  encodePicture?: PictureEncoder;
  /** Called with the current step in words, the number of parts of it that are done, and their total. */
  onProgress?: (step: string, done: number, total: number) => void;
}

/** The maps of one convolution layer and their strongest activations. */
export interface LayerFindings extends LayerSummary {
  /** [height, width] of the receptive field in pixels, at most the size of the image. */
  field: readonly [number, number];
  /** Number of maps. */
  maps: number;
  /** Maps that none of the images activates. */
  dead: number[];
  /** The maps shown: the same nine activations, projected by each set of rules. */
  chosen: Readonly<Record<DeconvMode, ProjectedMap>>[];
}

/** Everything that a section is written from. */
export interface ReportContext extends ReportInput {
  featureSplit: string;
  ownData: boolean;
  /** Summary per layer for one image of the network's input size. */
  summaries: readonly LayerSummary[];
  /** Findings for all convolutions, or for some that are evenly spaced if there are many. */
  layers: readonly LayerFindings[];
}

/** Writes one section; returns null if it would be empty. */
export type SectionWriter = (context: ReportContext) => Section | null | Promise<Section | null>;
