/** The documents of the repository, the links between them, and the API reference that is generated from docstrings. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { posix } from 'node:path';

/** Documents whose `ts` blocks are run: README and the guides. */
export function examplePaths(): string[] {
  const guides = readdirSync('docs').filter((name) => name.endsWith('.md'));
  return ['README.md', ...guides.map((name) => `docs/${name}`)];
}

/** Text without code, in which brackets are no links. */
const withoutCode = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/** Addresses that a document links to. */
function linksIn(path: string): string[] {
  return [...withoutCode(readFileSync(path, 'utf8')).matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(([, address]) => address);
}

/** Anchors of the headings of a document, as GitHub forms them. */
function anchorsOf(path: string): Set<string> {
  const seen = new Map<string, number>();
  const headings = readFileSync(path, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    [...headings].map(([, heading]) => {
      const plain = heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .replace(/[`*]/g, '')
        .replace(/\\/g, '');
      const anchor = plain
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-');
      const before = seen.get(anchor) ?? 0;
      seen.set(anchor, before + 1);
      return before > 0 ? `${anchor}-${before}` : anchor;
    }),
  );
}

/** Documents under a folder. */
function documentsUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')));
}

/** The problem of a link from a document, or null. Addresses of other hosts are not looked up. */
function problemOf(from: string, address: string): string | null {
  if (/^[a-z]+:/.test(address)) return null;
  const [path, anchor] = address.split('#');
  const target = path === '' ? from : posix.normalize(posix.join(posix.dirname(from), decodeURIComponent(path)));
  // The reference is generated and has a check of its own.
  if (target.startsWith('docs/api/')) return null;
  if (!existsSync(target)) return `${from}: the link ${address} leads nowhere`;
  if (!anchor || !target.endsWith('.md') || statSync(target).isDirectory()) return null;
  return anchorsOf(target).has(decodeURIComponent(anchor)) ? null : `${from}: ${target} has no heading #${anchor}`;
}

/** Broken links in some documents. */
function brokenLinks(paths: readonly string[]): string[] {
  return paths.flatMap((path) => linksIn(path).flatMap((address) => problemOf(path, address) ?? []));
}

/** Documents that are reached from README by links. */
function reachable(): Set<string> {
  const found = new Set(['README.md']);
  for (const path of found) {
    for (const address of linksIn(path)) {
      const [target] = address.split('#');
      const next = posix.normalize(posix.join(posix.dirname(path), target));
      if (target.endsWith('.md') && !/^[a-z]+:/.test(address) && existsSync(next)) found.add(next);
    }
  }
  return found;
}

/** Broken links in the repository's documents, and guides that no page leads to. */
export function checkLinks(): string[] {
  const guides = examplePaths();
  const pages = [...reachable()];
  return [
    ...brokenLinks([...new Set([...guides, ...pages])]),
    ...guides.filter((path) => !pages.includes(path)).map((path) => `${path}: no page that README leads to links here`),
  ];
}

/** Generates the API reference to `build/api` and returns its warnings and broken links. */
export function checkReference(): string[] {
  const folder = 'build/api';
  rmSync(folder, { recursive: true, force: true });
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['node_modules/typedoc/bin/typedoc', '--out', folder, '--logLevel', 'Warn', '--treatWarningsAsErrors'],
    { encoding: 'utf8' },
  );
  if (status !== 0) return [`typedoc: ${`${stdout}${stderr}`.trim()}`];
  return brokenLinks(documentsUnder(folder));
}
