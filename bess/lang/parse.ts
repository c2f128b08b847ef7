/** From the text of a script to its tree. */
import { EOF, type IToken } from 'chevrotain';
import type { Expression, Script } from './ast.js';
import { BessScriptError, isStackOverflow, type Position, SyntaxProblem } from './errors.js';
import { parseFormatted } from './fstrings.js';
import { ScriptGrammar } from './grammar.js';
import { layOutExpression, layOutScript, positionOf } from './layout.js';
import { splitString } from './literals.js';
import { describeMistake } from './syntax-messages.js';
import * as T from './tokens.js';

/** Longest script, in characters: thousands of lines, and still parsed within seconds whatever they hold. */
const MAX_LENGTH = 1 << 18;

/** Made at the first script: learning the grammar takes longer than to parse one. */
let grammar: ScriptGrammar | null = null;

/**
 * Parses a script. `file` is only for the messages.
 *
 * @throws BessScriptError for anything that is not in the language.
 */
export function parse(source: string, file: string): Script {
  try {
    if (source.length > MAX_LENGTH) {
      throw new SyntaxProblem({ line: 1, column: 1 }, `a script may have ${MAX_LENGTH} characters at most`);
    }
    const text = source.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
    const tokens = layOutScript(text, T.scriptLexer.tokenize(text).tokens);
    return { file, body: apply(tokens, (rules) => rules.script()) };
  } catch (error) {
    if (error instanceof SyntaxProblem) throw new BessScriptError(file, error.position, 'syntax', error.message);
    if (isStackOverflow(error)) {
      throw new BessScriptError(
        file,
        { line: 1, column: 1 },
        'syntax',
        'the script is nested too deeply',
        undefined,
        error,
      );
    }
    throw error;
  }
}

/** Applies a rule to all of the tokens. */
function apply<R>(tokens: IToken[], rule: (rules: ScriptGrammar) => R): R {
  // Before the rule: these use the same parser.
  for (const token of tokens) {
    if (token.tokenType === T.Text) parseFields(token);
  }
  grammar ??= new ScriptGrammar();
  grammar.input = tokens;
  const result = rule(grammar);
  const error = grammar.errors[0];
  if (error === undefined) return result;
  const found = error.token;
  const last = tokens[tokens.length - 1];
  const position = found.tokenType === EOF && last !== undefined ? endOf(last) : positionOf(found);
  throw new SyntaxProblem(position, describeMistake(error.message, found));
}

/** Hangs the fields of an f-string on its token. */
function parseFields(token: IToken): void {
  const text = splitString(token.image);
  if (text.formatted) token.payload = parseFormatted(text, token.image, positionOf(token), parseField);
}

function parseField(text: string, start: Position): Expression {
  const { tokens } = T.scriptLexer.tokenize(text);
  for (const token of tokens) {
    if (token.startLine === 1) token.startColumn = (token.startColumn ?? 0) + start.column - 1;
    if (token.endLine === 1) token.endColumn = (token.endColumn ?? 0) + start.column - 1;
    token.startLine = (token.startLine ?? 0) + start.line - 1;
    token.endLine = (token.endLine ?? 0) + start.line - 1;
  }
  return apply(layOutExpression(tokens), (rules) => rules.field());
}

/** Where a text ends whose last token this is; those of the layout have no width. */
function endOf(token: IToken): Position {
  if (token.image === '' || token.tokenType === T.Newline) return positionOf(token);
  return { line: token.endLine ?? 0, column: (token.endColumn ?? 0) + 1 };
}
