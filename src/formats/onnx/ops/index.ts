/** The table of supported operators by domain and ONNX name. Each supports all versions from opset 6 on. */
import type { Operator } from '../operator.js';
import { activations } from './activation.js';
import { arithmetic } from './arithmetic.js';
import { arrangement } from './arrangement.js';
import { constants } from './constant.js';
import { control } from './control.js';
import { convolution } from './convolution.js';
import { indexing } from './indexing.js';
import { logic } from './logic.js';
import { losses } from './loss.js';
import { matrix } from './matrix.js';
import { normalization } from './normalization.js';
import { pooling } from './pooling.js';
import { quantization } from './quantization.js';
import { reductions } from './reduction.js';
import { resizing } from './resize.js';
import { roundings } from './rounding.js';
import { shapes } from './shape.js';
import { smooth } from './smooth.js';
import { training } from './training.js';

const STANDARD: Readonly<Record<string, Operator>> = {
  ...arithmetic,
  ...logic,
  ...roundings,
  ...activations,
  ...smooth,
  ...convolution,
  ...pooling,
  ...normalization,
  ...matrix,
  ...shapes,
  ...indexing,
  ...arrangement,
  ...resizing,
  ...quantization,
  ...reductions,
  ...constants,
  ...losses,
  ...control,
};

/** Operators by domain; '' is ONNX's own. */
export const OPERATORS: Readonly<Record<string, Readonly<Record<string, Operator>>>> = {
  '': STANDARD,
  'ai.onnx.preview.training': training,
};
