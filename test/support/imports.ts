/** Reads what source files import, for the import rule. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';

export interface Import {
  /** Path from the repository's root: `src/nn/module.ts`. */
  from: string;
  /** As written. */
  specifier: string;
  /** As it would be loaded: at once, when a function runs, or never. */
  kind: 'static' | 'dynamic' | 'type';
}

/** Every TypeScript and JavaScript file under a folder, by its path from the repository's root. */
export function sourceFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist'].includes(entry.name) ? [] : sourceFiles(path);
    return /\.(ts|tsx|js|mjs|cjs)$/.test(entry.name) ? [path] : [];
  });
}

const read = new Map<string, Import[]>();

export function importsOf(path: string): Import[] {
  const known = read.get(path) ?? importsIn(path, readFileSync(join('.', path), 'utf8'));
  read.set(path, known);
  return known;
}

const isRequire = (node: ts.Node) => ts.isIdentifier(node) && node.text === 'require';

/** Imports, exports from elsewhere, `import()` and types by `import()`. */
export function importsIn(path: string, text: string): Import[] {
  const found: Import[] = [];
  const note = (node: ts.Node | undefined, kind: Import['kind']) => {
    if (node && ts.isStringLiteralLike(node)) found.push({ from: path, specifier: node.text, kind });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) note(node.moduleSpecifier, node.importClause?.isTypeOnly ? 'type' : 'static');
    else if (ts.isExportDeclaration(node)) note(node.moduleSpecifier, node.isTypeOnly ? 'type' : 'static');
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) note(node.argument.literal, 'type');
    else if (ts.isCallExpression(node) && (node.expression.kind === ts.SyntaxKind.ImportKeyword || isRequire(node.expression)))
      note(node.arguments[0], 'dynamic');
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return found;
}
