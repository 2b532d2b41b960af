/** The constants of an imported model: its parameters as tensors on the backend, and all other constants as host values. */
import { parameter } from '../../../nn/index.js';
import type { Backend, DType, Shape, Tensor } from '../../../tensor/index.js';
import { type HostValue, toTensor } from '../decoding/host_value.js';
import type { Constants } from '../graph/nodes.js';

/** Parameters and constants by name. */
export class ModelWeights {
  /** Trainable parameters. */
  readonly learned = new Map<string, Tensor>();
  /** Constants that are not trained. */
  readonly fixed = new Map<string, HostValue>();
  /** Tensors of the constants in `fixed`, created on first use. */
  readonly constants = new Map<HostValue, Tensor | null>();

  /**
   * Uploads the parameters one by one and copies the other constants, so that the memory of the file can be released.
   *
   * @param parameters names of the constants that are trained
   */
  constructor(
    constants: Constants,
    parameters: readonly string[],
    public backend: Backend,
  ) {
    const trained = new Set(parameters);
    for (const [name, value] of constants) {
      if (!trained.has(name)) {
        const small = value.detached();
        this.fixed.set(name, small);
        this.constants.set(small, null);
        continue;
      }
      const target = parameter(toTensor(value, backend, name));
      // `writable` uploads the elements, so that only the backend has a copy.
      void target.writable;
      this.learned.set(name, target);
    }
  }

  /** Shapes of the parameters by name. */
  shapes(): Map<string, Shape> {
    return new Map([...this.learned].map(([name, { shape }]) => [name, shape]));
  }

  /** Moves the parameters to a backend and, if `dtype` is given, to an element type. */
  async move(backend: Backend, dtype?: DType): Promise<void> {
    const copies = new Map<string, Tensor>();
    try {
      for (const [name, value] of this.learned) copies.set(name, parameter(await value.to({ backend, dtype })));
    } catch (error) {
      for (const copy of copies.values()) copy.dispose();
      throw error;
    }
    for (const [name, copy] of copies) {
      this.learned.get(name)?.dispose();
      this.learned.set(name, copy);
    }
    this.backend = backend;
    this.disposeConstants();
  }

  /** Frees the tensors of the constants. They are created again on their next use. */
  disposeConstants(): void {
    for (const [value, made] of this.constants) {
      made?.dispose();
      this.constants.set(value, null);
    }
  }
}
