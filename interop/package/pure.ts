/**
 * Marks the constants of a built file as free of side effects, so that bundlers leave out those that a page does not use. Bundlers keep an
 * unused constant if its value calls a function or spreads an object, because either could have a side effect. None of ours has: a module
 * only describes, and what acts at its top level is a statement, not a constant.
 */
import ts from 'typescript';

/** Returns the code with each such constant wrapped in a function that is called with the mark `@__PURE__`. */
export function markConstants(code: string): string {
  const source = ts.createSourceFile('built.js', code, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  let marked = '';
  let from = 0;
  for (const initializer of source.statements.flatMap(initializers).filter(mayAct)) {
    const [start, end] = [initializer.getStart(), initializer.getEnd()];
    marked += `${code.slice(from, start)}/* @__PURE__ */ (() => (${code.slice(start, end)}))()`;
    from = end;
  }
  return marked + code.slice(from);
}

const initializers = (statement: ts.Statement): ts.Expression[] =>
  ts.isVariableStatement(statement)
    ? statement.declarationList.declarations.flatMap(({ name, initializer }) => (initializer && ts.isIdentifier(name) ? [initializer] : []))
    : [];

/** Whether a bundler sees a possible side effect: a call without the mark, or a spread, outside of functions. Classes are left alone. */
function mayAct(initializer: ts.Expression): boolean {
  let acts = false;
  let awaits = false;
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return;
    if (ts.isAwaitExpression(node)) awaits = true;
    if (ts.isSpreadAssignment(node) || ts.isSpreadElement(node)) acts = true;
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) acts ||= !node.getFullText().trimStart().startsWith('/* @__PURE__ */');
    ts.forEachChild(node, visit);
  };
  if (!ts.isClassExpression(initializer)) visit(initializer);
  return acts && !awaits;
}
