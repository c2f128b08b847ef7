/**
 * Puts a marker at the head of every block of a JavaScript module: functions, both ways of an if, loops, cases, the arms
 * of ?:, the right sides of &&, || and ??. Text is only inserted, never moved between lines, so places in errors stay true.
 */
import ts from 'typescript';
import { prologue } from './feedback.js';

interface Insertion {
  readonly at: number;
  readonly text: string;
}

const SHORT_CIRCUIT = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);

export function instrument(source: string, name: string): string {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS);
  const insertions: Insertion[] = [];
  let blocks = 0;

  const insert = (at: number, text: string): void => void insertions.push({ at, text });
  const marker = (): string => `$c[${blocks}]||$n(${blocks++})`;

  // Each returns what is to be done once the children have been visited: closings are inserted from the inside out.
  const nothing = (): void => {};
  const statement = (node: ts.Statement): (() => void) => {
    if (ts.isBlock(node)) {
      insert(node.getStart(file) + 1, `${marker()};`);
      return nothing;
    }
    insert(node.getStart(file), `{${marker()};`);
    return () => insert(node.end, '}');
  };
  const expression = (node: ts.Expression): (() => void) => {
    insert(node.getStart(file), `(${marker()},`);
    return () => insert(node.end, ')');
  };

  const visit = (node: ts.Node): void => {
    if (ts.isIfStatement(node)) {
      visit(node.expression);
      around(statement(node.thenStatement), node.thenStatement);
      const otherwise = node.elseStatement;
      if (otherwise === undefined) insert(node.end, ` else{${marker()}}`);
      else around(ts.isIfStatement(otherwise) ? nothing : statement(otherwise), otherwise);
    } else if (ts.isConditionalExpression(node)) {
      visit(node.condition);
      around(expression(node.whenTrue), node.whenTrue);
      around(expression(node.whenFalse), node.whenFalse);
    } else if (ts.isBinaryExpression(node) && SHORT_CIRCUIT.has(node.operatorToken.kind)) {
      visit(node.left);
      around(expression(node.right), node.right);
    } else if (ts.isIterationStatement(node, false)) {
      const { statement: body } = node;
      const close = statement(body);
      ts.forEachChild(node, visit);
      close();
    } else if (ts.isCaseOrDefaultClause(node)) {
      insert(node.statements.pos, `${marker()};`);
      ts.forEachChild(node, visit);
    } else if (ts.isCatchClause(node)) {
      statement(node.block);
      ts.forEachChild(node, visit);
    } else if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const body = node.body as ts.Block | ts.Expression;
      const close = ts.isBlock(body) ? statement(body) : expression(body);
      ts.forEachChild(node, visit);
      close();
    } else {
      ts.forEachChild(node, visit);
    }
  };
  const around = (close: () => void, node: ts.Node): void => {
    visit(node);
    close();
  };
  visit(file);
  return prologue(blocks) + applyAll(source, insertions);
}

function applyAll(source: string, insertions: Insertion[]): string {
  // Stable: what is inserted at one place stays in its order.
  insertions.sort((a, b) => a.at - b.at);
  const parts: string[] = [];
  let from = 0;
  for (const { at, text } of insertions) {
    parts.push(source.slice(from, at), text);
    from = at;
  }
  parts.push(source.slice(from));
  return parts.join('');
}
