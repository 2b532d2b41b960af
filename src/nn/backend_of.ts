/** The backend of a module, and of a model with named layers. */
import { type Backend, defaultBackend } from '../tensor/index.js';
import type { LayeredModel } from './layered_model.js';
import type { Module } from './module.js';

/** Returns the backend of a module's first parameter or buffer; the default backend for a module without any. */
export function backendOf(model: Module): Backend {
  const [first] = [...model.namedParameters(), ...model.namedBuffers()];
  return first?.[1].backend ?? defaultBackend();
}

/** Returns the backend of the first layer that has parameters; null for a model without any. */
export function backendOfLayers(model: LayeredModel): Backend | null {
  for (const name of model.layerNames()) {
    const [first] = model.layer(name).parameters();
    if (first) return first.backend;
  }
  return null;
}
