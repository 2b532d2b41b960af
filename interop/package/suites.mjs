// The suites in the order in which they run: quick ones first.
import { cli } from './suites/cli.mjs';
import { csp } from './suites/csp.mjs';
import { environments } from './suites/environments.mjs';
import { files } from './suites/files.mjs';
import { jest } from './suites/jest.mjs';
import { managers } from './suites/managers.mjs';
import { manifest } from './suites/manifest.mjs';
import { next } from './suites/next.mjs';
import { node } from './suites/node.mjs';
import { pages } from './suites/pages.mjs';
import { sizes } from './suites/sizes.mjs';
import { typescript } from './suites/typescript.mjs';
import { vitest } from './suites/vitest.mjs';

export const SUITES = [manifest, node, managers, typescript, jest, vitest, cli, csp, environments, files, sizes, pages, next];
