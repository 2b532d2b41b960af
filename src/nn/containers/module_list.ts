/** `ModuleList`, a list of modules that a custom network calls as it likes. */
import { arrayOf, checkArgument } from '../../backend/validate.js';
import type { Tensor } from '../../tensor/index.js';
import { Module, StateError } from '../module.js';
import { aModule } from '../rules.js';

/**
 * A list of modules, whose parameters belong to the module that holds the list. PyTorch `ModuleList`. It can be iterated and has no
 * `forward` of its own. In the state the modules have the names `0`, `1`, ….
 *
 * @example
 * class Blocks extends Module {
 *   blocks = new ModuleList([new Linear(4, 4), new Linear(4, 4)]);
 *   forward(x: Tensor) { for (const block of this.blocks) x = block.forward(x); return x; }
 * }
 * new Blocks().forward(randn([2, 4]));
 */
export class ModuleList extends Module implements Iterable<Module> {
  private readonly modules: Module[];

  constructor(modules: readonly Module[] = []) {
    super();
    checkArgument('ModuleList', 'modules', modules, arrayOf(aModule));
    this.modules = [...modules];
  }

  /** Number of modules. */
  get length(): number {
    return this.modules.length;
  }

  /** Returns a module by its index; negative indices count from the end. Undefined outside of the list. */
  at(index: number): Module | undefined {
    return this.modules.at(index);
  }

  /** Adds modules at the end and returns the new length. */
  push(...modules: readonly Module[]): number {
    checkArgument('ModuleList.push', 'modules', modules, arrayOf(aModule));
    return this.modules.push(...modules);
  }

  [Symbol.iterator](): Iterator<Module> {
    return this.modules[Symbol.iterator]();
  }

  override children(): [string, Module][] {
    return this.modules.map((module, i) => [String(i), module]);
  }

  /** @throws StateError always */
  forward(_x: Tensor): Tensor {
    throw new StateError('ModuleList: a list has no forward(); call the forward() of its modules, or use Sequential');
  }
}
