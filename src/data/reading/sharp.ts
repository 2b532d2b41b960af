/** Loads the optional package `sharp` when the first image is read. */
import type Sharp from 'sharp';
import { importOptional } from '../files/packages.js';

let sharpModule: Promise<typeof Sharp> | undefined;

/** Returns the `sharp` function. Throws `DataError` if the package is missing. */
export function loadSharp(): Promise<typeof Sharp> {
  sharpModule ??= importOptional<{ default: typeof Sharp }>('sharp', 'reading images').then((module) => module.default);
  return sharpModule;
}
