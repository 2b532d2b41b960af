/** Remembers which modules of a network are in training mode. */
import type { Module } from '../module.js';

/** Returns a function that restores the mode (training or evaluation) of a module and of all modules inside. */
export function rememberModes(model: Module): () => void {
  const modes = new Map<Module, boolean>();
  const visit = (module: Module): void => {
    if (modes.has(module)) return;
    modes.set(module, module.training);
    for (const [, child] of module.children()) visit(child);
  };
  visit(model);
  return () => {
    for (const [module, training] of modes) module.training = training;
  };
}
