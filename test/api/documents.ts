/** The documents of the repository: which there are, and the links between them. */
import { readdirSync } from 'node:fs';

/** Documents whose `ts` blocks are run: README and the guides. */
export function examplePaths(): string[] {
  return [
    'README.md',
    ...readdirSync('docs')
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];
}
