// Finds the browsers for the checks, and the arguments to start Chromium with.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Path of the first program of these names on the PATH. */
export function find(names) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

export const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
export const findChromium = () => process.env.CHROME ?? find(CHROMIUM_NAMES);
export const findFirefox = () => process.env.FIREFOX ?? find(['firefox-esr', 'firefox']);

/** Arguments for Chromium: no sandbox, because containers do not allow it, and no network connections of its own. */
export const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
