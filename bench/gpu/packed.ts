/** The benchmark as it is bundled into a pack. */
import { parseArgs } from 'node:util';
import { bench, OPTIONS } from './bench.js';

process.exit(await bench(parseArgs({ options: OPTIONS }).values));
