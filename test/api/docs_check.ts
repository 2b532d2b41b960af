/**
 * `npm run docs:check`: fails and lists what the documentation lacks.
 *
 * - Public names, and members of public classes and interfaces, without a description; functions that throw without saying so; names
 *   that appeared in or disappeared from `public_names.txt`, the list of all public names for review, which
 *   `npm run docs:check -- --update` rewrites.
 * - Functions and classes without an example; examples of docstrings, README and guides that do not compile or do not run.
 * - Broken links, guides that no page leads to, terms and blocks that README.zh-CN.md lacks, and warnings of the generator of the API
 *   reference.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { checkExamples, missingExamples } from './check_examples.js';
import { checkLinks, checkReference } from './documents.js';
import { bareMembers, publicNames, publicSymbols, silentThrowers } from './public_names.js';
import { checkTranslation } from './translation.js';

const LIST = new URL('public_names.txt', import.meta.url);

/** Text that the place of an example contains: `npm run docs:check -- --only README` checks few of them. */
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : '';

const symbols = publicSymbols();
const names = publicNames(symbols);
const missing = new Map(names.filter(({ documented }) => !documented).map((each) => [each.place, each]));
for (const { place, entry, kind, name } of missing.values()) console.error(`${place}: ${kind} ${name} of ${entry} has no description`);
const bare = bareMembers(symbols);
const silent = silentThrowers(symbols);
for (const { place, name } of silent) console.error(`${place}: ${name} throws, and has no @throws`);
for (const { place, name } of bare) console.error(`${place}: ${name} has no description`);

const lines = names.map(({ entry, kind, name }) => `${entry}: ${kind} ${name}`);
if (process.argv.includes('--update')) writeFileSync(LIST, `${lines.join('\n')}\n`);
const listed = new Set(readFileSync(LIST, 'utf8').trim().split('\n'));
const added = lines.filter((line) => !listed.has(line));
const removed = [...listed].filter((line) => !lines.includes(line));
for (const line of added) console.error(`${line} is new; run npm run docs:check -- --update`);
for (const line of removed) console.error(`${line} has disappeared; keep it with @deprecated, or run npm run docs:check -- --update`);

console.log(
  `${names.length} public names, ${missing.size} and ${bare.length} members without a description, ${silent.length} without @throws, ` +
    `${added.length} new, ${removed.length} removed`,
);

const lacking = missingExamples(symbols);
for (const line of lacking) console.error(line);
const { count, failures } = checkExamples(symbols, only);
for (const line of failures) console.error(line);
console.log(`${count} examples, ${failures.length} failed; ${lacking.length} functions or classes without one`);

const links = [...checkLinks(), ...checkTranslation()];
const reference = only === '' ? checkReference() : [];
for (const line of [...links, ...reference]) console.error(line);
console.log(
  `${links.length} broken links, unreachable guides or faults of the translation, ${reference.length} problems of the API reference`,
);

const problems = [
  missing.size,
  bare.length,
  silent.length,
  added.length,
  removed.length,
  lacking.length,
  failures.length,
  links.length,
  reference.length,
];
process.exitCode = problems.some((count) => count > 0) ? 1 : 0;
