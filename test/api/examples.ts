/** The examples of docstrings and of documents: where they are, and the modules that they become to be type-checked and run. */
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { entryPoints, type PublicSymbols } from './public_names.js';

/** One piece of code from the documentation. */
export interface Example {
  /** Where it is: file and name, or file and line. */
  place: string;
  code: string;
}

/** Text of a comment's parts. */
const textOf = (parts: readonly ts.SymbolDisplayPart[] | undefined) => (parts ?? []).map(({ text }) => text).join('');

/** Code in a description: blocks between fences, and blocks that are indented by four spaces. */
function codeIn(description: string): string[] {
  const fenced = [...description.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) => code);
  const indented = [...description.matchAll(/(?:^ {4}.*(?:\n|$))+/gm)].map(([code]) => code.replace(/^ {4}/gm, ''));
  return [...fenced, ...indented];
}

/** Code without the fences that an `@example` may have around it. */
const unfenced = (code: string) => code.replace(/^```ts\n([\s\S]*?)\n?```$/, '$1');

function examplesOf(symbol: ts.Symbol, checker: ts.TypeChecker): string[] {
  const tags = symbol.getJsDocTags(checker).filter(({ name }) => name === 'example');
  return [...tags.map(({ text }) => unfenced(textOf(text).trim())), ...codeIn(textOf(symbol.getDocumentationComment(checker)))];
}

/** Whether a name is a function or a class that is neither an error nor marked as internal or old. */
function isCallable(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  if (symbol.getJsDocTags(checker).some(({ name }) => name === 'internal' || name === 'deprecated')) return false;
  if (symbol.flags & ts.SymbolFlags.Class) return !symbol.name.endsWith('Error');
  const declaration = symbol.valueDeclaration;
  if (!declaration || !(symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Variable))) return false;
  return checker.getTypeOfSymbolAtLocation(symbol, declaration).getCallSignatures().length > 0;
}

/** Examples in docstrings of public names, and the functions and classes that have none. */
export function docstringExamples({ checker, entries }: PublicSymbols): { examples: Example[]; without: string[] } {
  const targets = new Map(entries.map(({ entry, target }) => [target, entry]));
  const examples = [...targets].flatMap(([target, entry]) =>
    examplesOf(target, checker).map((code, i) => ({ place: `${entry}: ${target.name}${i > 0 ? ` (${i + 1})` : ''}`, code })),
  );
  const without = [...targets]
    .filter(([target]) => isCallable(target, checker) && examplesOf(target, checker).length === 0)
    .map(([target, entry]) => `${entry}: ${target.name}`);
  return { examples, without: without.sort() };
}

/** Names that statements at the top level declare, without imports. */
function declaredNames(code: string): string[] {
  const source = ts.createSourceFile('block.ts', code, ts.ScriptTarget.Latest, true);
  const names: string[] = [];
  const add = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) names.push(name.text);
    else for (const element of name.elements) if (ts.isBindingElement(element)) add(element.name);
  };
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) for (const { name } of statement.declarationList.declarations) add(name);
    else if ((ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) && statement.name) names.push(statement.name.text);
  }
  return names;
}

/** Matches an import statement at the beginning of a line. */
const IMPORT = /^import (?:type )?(?:\{([^}]*)\}|[^;]*?) from '([^']+)';.*$/gm;

/** Blocks joined to one module: imports of the same names are merged, and a block that declares a name again gets a scope of its own. */
function joined(blocks: readonly string[]): string {
  const named = new Map<string, Set<string>>();
  const others = new Set<string>();
  const seen = new Set<string>();
  const bodies = blocks.map((block) => {
    const body = block.replace(IMPORT, (whole: string, names: string | undefined, from: string) => {
      if (names === undefined) others.add(whole);
      else for (const name of names.split(',')) if (name.trim()) named.set(from, (named.get(from) ?? new Set()).add(name.trim()));
      return '';
    });
    const declared = declaredNames(body);
    const again = declared.some((name) => seen.has(name));
    for (const name of declared) if (!again) seen.add(name);
    return again ? `{\n${body}}` : body;
  });
  return [...others, ...[...named].map(([from, names]) => `import { ${[...names].join(', ')} } from '${from}';`), ...bodies].join('\n');
}

/** Code of the blocks of a document whose fence has an info string. */
const blocksOf = (path: string, info: string) =>
  [...readFileSync(path, 'utf8').matchAll(new RegExp(`^\`\`\`${info}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, code]) => code);

/**
 * The `ts` blocks of a document, as one example: they run in order and share their names. A block whose fence says `ts ignore`, such as a
 * component of a framework, is neither checked nor run.
 */
export function documentExample(path: string): Example | null {
  const blocks = blocksOf(path, 'ts');
  return blocks.length > 0 ? { place: path, code: joined(blocks) } : null;
}

/** The `ts check` blocks of a document: each is a file of its own for another runtime, which is type-checked and not run. */
export function checkedBlocks(path: string): Example[] {
  return blocksOf(path, 'ts check').map((code, i) => ({ place: `${path}, file ${i + 1}`, code }));
}

/** Names that code uses without declaring them. */
function freeNames(code: string): Set<string> {
  const source = ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true);
  const used = new Set<string>();
  const declared = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      const { parent } = node;
      if (ts.isImportSpecifier(parent)) {
        declared.add(parent.name.text);
        return;
      }
      const names = (parent as ts.NamedDeclaration).name === node;
      if (names && ts.isPropertyAccessExpression(parent)) return;
      if (names && (ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) || ts.isPropertyDeclaration(parent))) return;
      if (ts.isBindingElement(parent) && parent.propertyName === node) return;
      (names && !ts.isShorthandPropertyAssignment(parent) ? declared : used).add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  for (const name of declared) used.delete(name);
  return used;
}

/** Exports of the entry points: the first entry point that has the name. */
export function exportsByName({ entries }: PublicSymbols): Map<string, string> {
  const found = new Map<string, string>();
  for (const { entry, symbol } of entries) if (!found.has(symbol.name)) found.set(symbol.name, entry);
  return found;
}

/**
 * The module that an example becomes. Imports of the package name the sources; public names that the example does not import are
 * imported; and other names that it uses without declaring them come from `examples_given.ts`.
 */
export function moduleOf(
  { place, code }: Example,
  exported: ReadonlyMap<string, string>,
  given: ReadonlySet<string>,
  toRoot: string,
): string {
  const sources = entryPoints();
  const addressOf = (entry: string) => `${toRoot}/${sources[entry].replace(/\.ts$/, '.js')}`;
  const own = code.replace(/from '(zfnet(?:\/\w+)?)'/g, (whole, entry) => (sources[entry] ? `from '${addressOf(entry)}'` : whole));
  const used = [...freeNames(own)];
  const imported = new Map<string, string[]>();
  // Documents import what they use, so that other names of theirs are given; docstrings name exports without importing them.
  const isGiven = (name: string) => given.has(name) && (place.endsWith('.md') || !exported.has(name));
  for (const name of used) {
    const entry = exported.get(name);
    if (entry && !isGiven(name) && !place.endsWith('.md')) imported.set(entry, [...(imported.get(entry) ?? []), name]);
  }
  const values = used.filter(isGiven);
  const imports = [...imported].map(([entry, names]) => `import { ${names.join(', ')} } from '${addressOf(entry)}';`);
  return [
    `// ${place}`,
    ...imports,
    `import { given } from '${toRoot}/test/api/examples_given.js';`,
    ...values.map((name) => `const ${name} = await given.${name}();`),
    own,
    'export {};',
  ].join('\n');
}
