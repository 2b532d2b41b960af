/** The backend of a module. */
import { type Backend, defaultBackend } from '../tensor/index.js';
import type { Module } from './module.js';

/** Returns the backend of a module's first parameter or buffer; the default backend for a module without any. */
export function backendOf(model: Module): Backend {
  const [first] = [...model.namedParameters(), ...model.namedBuffers()];
  return first?.[1].backend ?? defaultBackend();
}
