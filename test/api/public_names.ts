/** The public names of every entry point, and those without a description, by TypeScript's compiler. */
import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** Source file of each entry point: `zfnet/data` is `src/data/index.ts`. Read from the build configuration. */
export function entryPoints(): Record<string, string> {
  const built = Object.fromEntries(
    [...readFileSync('tsup.config.ts', 'utf8').matchAll(/^ {2}(\w+): '(src\/[^']+)',$/gm)].map(([, name, path]) => [name, path]),
  );
  const published = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).exports);
  return Object.fromEntries(
    published
      .map((key) => key.replace(/^\.\/?/, ''))
      .filter((name) => built[name || 'index'])
      .map((name) => [name ? `zfnet/${name}` : 'zfnet', built[name || 'index']]),
  );
}

/** A member of a public class or interface that has no description. */
export interface BareMember {
  /** Class or interface and member: `Conv2d.weight`. */
  name: string;
  /** File and line of its declaration. */
  place: string;
}

/** One public name. */
export interface PublicName {
  entry: string;
  name: string;
  /** `class`, `function`, `const`, `type` or `namespace`. */
  kind: string;
  /** Whether its declaration has a description. */
  documented: boolean;
  /** File and line of its declaration. */
  place: string;
}

function kindOf(symbol: ts.Symbol): string {
  const { flags } = symbol;
  if (flags & ts.SymbolFlags.Class) return 'class';
  if (flags & ts.SymbolFlags.Function) return 'function';
  if (flags & (ts.SymbolFlags.Module | ts.SymbolFlags.ValueModule)) return 'namespace';
  return flags & ts.SymbolFlags.Value ? 'const' : 'type';
}

function placeOf(symbol: ts.Symbol): string {
  const [declaration] = symbol.declarations ?? [];
  if (!declaration) return '';
  const file = declaration.getSourceFile();
  const { line } = file.getLineAndCharacterOfPosition(declaration.getStart());
  return `${file.fileName.replace(`${process.cwd()}/`, '')}:${line + 1}`;
}

/** A namespace is described by the comment at the top of its file. */
function describes(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  if (symbol.getDocumentationComment(checker).length > 0) return true;
  // The tag itself says that the name is an old one, or not for users.
  if (symbol.getJsDocTags(checker).some(({ name }) => name === 'deprecated' || name === 'internal')) return true;
  const [declaration] = symbol.declarations ?? [];
  return declaration !== undefined && ts.isSourceFile(declaration) && declaration.text.startsWith('/**');
}

/** Whether users see the member: it is neither private nor protected nor a type parameter, and not an old name. */
function isPublicMember(member: ts.Symbol, checker: ts.TypeChecker): boolean {
  const [declaration] = member.declarations ?? [];
  if (!declaration || member.name.startsWith('__') || member.name === 'prototype' || ts.isTypeParameterDeclaration(declaration))
    return false;
  const name = ts.getNameOfDeclaration(declaration);
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  if ((ts.getCombinedModifierFlags(declaration) & hidden) !== 0 || (name && ts.isPrivateIdentifier(name))) return false;
  return !member.getJsDocTags(checker).some((tag) => tag.name === 'internal' || tag.name === 'deprecated');
}

/** Public members of a class or interface without a description. A member without one of its own has that of the class or interface above. */
function bareMembersOf(symbol: ts.Symbol, checker: ts.TypeChecker): BareMember[] {
  if (symbol.getJsDocTags(checker).some(({ name }) => name === 'internal' || name === 'deprecated')) return [];
  const own = [...(symbol.members?.values() ?? [])];
  const statics = symbol.flags & ts.SymbolFlags.Class ? [...(symbol.exports?.values() ?? [])] : [];
  return [...own, ...statics]
    .filter((member) => isPublicMember(member, checker) && member.getDocumentationComment(checker).length === 0)
    .map((member) => ({ name: `${symbol.name}.${member.name}`, place: placeOf(member) }));
}

/** Everything that the entry points export, by entry point. */
export interface PublicSymbols {
  checker: ts.TypeChecker;
  entries: { entry: string; symbol: ts.Symbol; target: ts.Symbol }[];
}

/** Reads the program and returns the exported symbols of all entry points; `target` is the declaration behind a re-export. */
export function publicSymbols(): PublicSymbols {
  const entries = entryPoints();
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, '.');
  const program = ts.createProgram(Object.values(entries), { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  return {
    checker,
    entries: Object.entries(entries).flatMap(([entry, path]) => {
      const source = program.getSourceFile(path);
      const exported = source && checker.getSymbolAtLocation(source);
      if (!exported) throw new Error(`${path} exports nothing`);
      return checker.getExportsOfModule(exported).map((symbol) => ({
        entry,
        symbol,
        target: symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
      }));
    }),
  };
}

/** Returns the members of public classes and interfaces that have no description. */
export function bareMembers({ checker, entries }: PublicSymbols): BareMember[] {
  return [...new Set(entries.map(({ target }) => target))].flatMap((target) => bareMembersOf(target, checker));
}

/** Returns the public functions that throw an error in their own body and do not say so, neither by `@throws` nor in their description. */
export function silentThrowers({ checker, entries }: PublicSymbols): BareMember[] {
  return [...new Set(entries.map(({ target }) => target))].flatMap((target) => {
    const declaration = target.valueDeclaration;
    if (!declaration || !ts.isFunctionDeclaration(declaration) || !/\bthrow new \w+/.test(declaration.body?.getText() ?? '')) return [];
    const tags = target.getJsDocTags(checker).map(({ name }) => name);
    const description = ts.displayPartsToString(target.getDocumentationComment(checker));
    if (['throws', 'internal', 'deprecated'].some((tag) => tags.includes(tag)) || /\bthrows\b|\bErrors\b/i.test(description)) return [];
    return [{ name: target.name, place: placeOf(target) }];
  });
}

/** Returns the public names of all entry points, sorted within each. */
export function publicNames({ checker, entries }: PublicSymbols): PublicName[] {
  return [...new Set(entries.map(({ entry }) => entry))].flatMap((name) =>
    entries
      .filter(({ entry }) => entry === name)
      .map(({ entry, symbol, target }) => ({
        entry,
        name: symbol.name,
        kind: kindOf(target),
        documented: describes(target, checker),
        place: placeOf(target),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  );
}
