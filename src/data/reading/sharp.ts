/** Loads `sharp`, an optional package, when the first image asks for it. */
import type Sharp from 'sharp';
import { importOptional } from '../files/packages.js';

let sharpModule: Promise<typeof Sharp> | undefined;

/** The `sharp` function. Throws `DataError` if the package is missing. */
export function loadSharp(): Promise<typeof Sharp> {
  sharpModule ??= importOptional<{ default: typeof Sharp }>('sharp', 'reading images').then((module) => module.default);
  return sharpModule;
}
