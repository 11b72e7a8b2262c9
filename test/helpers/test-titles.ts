// helpers/test-titles.ts: reads the tests of a test file from its source, without running it.
//
// Promises: a test is named by its whole path, `describe > test`. Each title is taken as it is written: the text of a string, or
// what stands between the backticks, with its placeholders. Tests that never run (`skip`, `todo`) are left out.
import { readFileSync } from 'node:fs';
import ts from 'typescript';

const GROUPS = ['describe'];
const TESTS = ['it', 'test'];
const NEVER_RUN = ['skip', 'todo'];

export function testTitlesIn(path: string | URL): string[] {
  const text = readFileSync(path, 'utf8');
  const source = ts.createSourceFile('test.ts', text, ts.ScriptTarget.Latest, true);
  const titles: string[] = [];
  const visit = (node: ts.Node, above: readonly string[]): void => {
    const call = callOf(node);
    if (call?.isNever === true) return;
    const path = call === null ? above : [...above, call.title];
    if (call !== null && TESTS.includes(call.name)) titles.push(path.join(' > '));
    ts.forEachChild(node, (child) => visit(child, path));
  };
  visit(source, []);
  return titles;
}

interface Call {
  readonly name: string;
  readonly title: string;
  readonly isNever: boolean;
}

/**
 * `it(title, …)`, and the calls that return such a function: `it.each(rows)(title, …)`, `describe.skipIf(…).each(rows)(title, …)`.
 */
function callOf(node: ts.Node): Call | null {
  if (!ts.isCallExpression(node) || node.arguments.length < 2) return null;
  const [first] = node.arguments;
  const title = first === undefined ? null : titleOf(first);
  if (title === null) return null;
  const modifiers: string[] = [];
  let callee: ts.Expression = node.expression;
  while (!ts.isIdentifier(callee)) {
    if (ts.isCallExpression(callee)) callee = callee.expression;
    else if (ts.isPropertyAccessExpression(callee)) {
      modifiers.push(callee.name.text);
      callee = callee.expression;
    } else return null;
  }
  if (![...GROUPS, ...TESTS].includes(callee.text)) return null;
  return { name: callee.text, title, isNever: modifiers.some((one) => NEVER_RUN.includes(one)) };
}

function titleOf(node: ts.Expression): string | null {
  if (ts.isStringLiteralLike(node)) return node.text;
  return ts.isTemplateExpression(node) ? node.getText().slice(1, -1) : null;
}
