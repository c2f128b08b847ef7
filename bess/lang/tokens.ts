/**
 * The tokens of a script and the lexer that finds them.
 *
 * Nothing stops the lexer: what is no token (a stray character, a string without an end, `012`) becomes a token of its
 * own kind, which no rule of the grammar takes, so that the first mistake in the file is the one reported.
 */
import { createToken, Lexer, type TokenType } from 'chevrotain';

/** `+ - ~ not`: may stand before an operand. */
export const PrefixOperator = createToken({ name: 'PrefixOperator', pattern: Lexer.NA });
/** Stands between two operands; `precedence.ts` knows how tightly. */
export const BinaryOperator = createToken({ name: 'BinaryOperator', pattern: Lexer.NA });

export const Name = createToken({ name: 'Name', label: 'a name', pattern: /[A-Za-z_]\w*/ });
/** The first name of `a::Class(` or `a, b::Class(`; set by `layout.ts`. */
export const CreatedName = createToken({ name: 'CreatedName', pattern: Lexer.NA });

function keyword(word: string, categories: TokenType[] = []): TokenType {
  const name = word[0]?.toUpperCase() + word.slice(1);
  return createToken({ name, label: `'${word}'`, pattern: new RegExp(`${word}\\b`), categories });
}

function symbol(name: string, text: string, categories: TokenType[] = []): TokenType {
  return createToken({ name, label: `'${text}'`, pattern: text, categories });
}

export const And = keyword('and', [BinaryOperator]);
export const As = keyword('as');
export const Assert = keyword('assert');
export const Break = keyword('break');
export const Continue = keyword('continue');
export const Def = keyword('def');
export const Elif = keyword('elif');
export const Else = keyword('else');
export const Except = keyword('except');
export const False_ = keyword('False');
export const For = keyword('for');
export const If = keyword('if');
export const Import = keyword('import');
export const In = keyword('in', [BinaryOperator]);
export const Is = keyword('is');
export const None_ = keyword('None');
export const Not = keyword('not', [PrefixOperator]);
export const Or = keyword('or', [BinaryOperator]);
export const Pass = keyword('pass');
export const Raise = keyword('raise');
export const Return = keyword('return');
export const True_ = keyword('True');
export const Try = keyword('try');
export const While = keyword('while');

/** Python that the embedded switch does without. */
export const Unsupported = createToken({
  name: 'Unsupported',
  pattern: /(?:async|await|class|del|finally|from|global|lambda|nonlocal|with|yield)\b/,
});
export const UnsupportedSymbol = createToken({ name: 'UnsupportedSymbol', pattern: /:=|\.\.\.|@=?/ });

export const Arrow = symbol('Arrow', '->');
export const DoubleColon = symbol('DoubleColon', '::');
export const Colon = symbol('Colon', ':');
export const Semicolon = symbol('Semicolon', ';');
export const Comma = symbol('Comma', ',');
export const Dot = symbol('Dot', '.');
export const Bang = symbol('Bang', '!');
export const OpenParen = symbol('OpenParen', '(');
export const CloseParen = symbol('CloseParen', ')');
export const OpenBracket = symbol('OpenBracket', '[');
export const CloseBracket = symbol('CloseBracket', ']');
export const OpenBrace = symbol('OpenBrace', '{');
export const CloseBrace = symbol('CloseBrace', '}');
export const Augmented = createToken({ name: 'Augmented', pattern: /(?:\*\*|\/\/|<<|>>|[-+*/%&|^])=/ });
export const DoubleStar = symbol('DoubleStar', '**', [BinaryOperator]);
export const Star = symbol('Star', '*', [BinaryOperator]);
export const Plus = symbol('Plus', '+', [BinaryOperator, PrefixOperator]);
export const Minus = symbol('Minus', '-', [BinaryOperator, PrefixOperator]);
export const Tilde = symbol('Tilde', '~', [PrefixOperator]);
/** The operators that are only ever between two operands. */
export const Infix = createToken({
  name: 'Infix',
  pattern: /\/\/|<<|>>|[<>=!]=|[/%&|^<>]/,
  categories: [BinaryOperator],
});
export const Equals = symbol('Equals', '=');

/** `$NAME`. */
export const VariableName = createToken({ name: 'VariableName', pattern: /\$[A-Za-z_]\w*/ });

/** What begins like a number and is none: `012`, `12ab`, `1.2.3`. */
export const BadNumber = createToken({ name: 'BadNumber', pattern: /\d[\w.]*/ });
export const Float = createToken({
  name: 'Float',
  label: 'a number',
  pattern: /(?:\d(?:_?\d)*)?\.\d(?:_?\d)*(?:[eE][-+]?\d(?:_?\d)*)?|\d(?:_?\d)*\.?[eE][-+]?\d(?:_?\d)*|\d(?:_?\d)*\./,
  longer_alt: BadNumber,
});
export const Int = createToken({
  name: 'Int',
  label: 'a number',
  pattern: /0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?0)*|[1-9](?:_?\d)*/,
  longer_alt: BadNumber,
});

// Unrolled (text, then escapes each followed by text), so that a long string does not fill the matcher's stack.
const QUOTED = [
  `'''[^\\\\']*(?:(?:\\\\[\\s\\S]|'(?!''))[^\\\\']*)*'''`,
  `"""[^\\\\"]*(?:(?:\\\\[\\s\\S]|"(?!""))[^\\\\"]*)*"""`,
  `'(?!'')[^\\\\'\\n]*(?:\\\\[\\s\\S][^\\\\'\\n]*)*'`,
  `"(?!"")[^\\\\"\\n]*(?:\\\\[\\s\\S][^\\\\"\\n]*)*"`,
].join('|');

export const Text = createToken({
  name: 'Text',
  label: 'a string',
  pattern: new RegExp(`(?:[rRuU]|[fF][rR]?|[rR][fF])?(?:${QUOTED})`),
  line_breaks: true,
});
/** `b'…'`: packets are made elsewhere. */
export const Bytes = createToken({
  name: 'Bytes',
  pattern: new RegExp(`(?:[bB][rR]?|[rR][bB])(?:${QUOTED})`),
  line_breaks: true,
});
export const OpenText = createToken({
  name: 'OpenText',
  pattern: /'''[\s\S]*|"""[\s\S]*|['"][^\n]*/,
  line_breaks: true,
});

/** The end of a physical line; `layout.ts` turns those that end a statement into {@link Newline}. */
export const LineEnd = createToken({ name: 'LineEnd', pattern: '\n', line_breaks: true });
export const Newline = createToken({ name: 'Newline', label: 'the end of the line', pattern: Lexer.NA });
export const Indent = createToken({ name: 'Indent', label: 'an indented block', pattern: Lexer.NA });
export const Dedent = createToken({ name: 'Dedent', label: 'the end of the block', pattern: Lexer.NA });

const Blank = createToken({ name: 'Blank', pattern: /[ \t\f]+/, group: Lexer.SKIPPED });
const Comment = createToken({ name: 'Comment', pattern: /#[^\n]*/, group: Lexer.SKIPPED });
const Continuation = createToken({
  name: 'Continuation',
  pattern: /\\\n/,
  group: Lexer.SKIPPED,
  line_breaks: true,
});
export const Unexpected = createToken({ name: 'Unexpected', pattern: /[\uD800-\uDBFF][\uDC00-\uDFFF]|[^\n]/ });

const KEYWORDS = [
  ...[And, Assert, As, Break, Continue, Def, Elif, Else, Except, False_, For, If, Import, In, Is, None_, Not, Or],
  ...[Pass, Raise, Return, True_, Try, While],
];

/** In the order in which the lexer tries them: the longer of two that begin alike comes first. */
export const ALL_TOKENS: TokenType[] = [
  ...[PrefixOperator, BinaryOperator, CreatedName, Newline, Indent, Dedent],
  ...[Blank, LineEnd, Comment, Continuation, Bytes, Text, ...KEYWORDS, Unsupported, Name, VariableName, Float, Int],
  ...[BadNumber, UnsupportedSymbol, Augmented, Arrow, DoubleColon, Colon, Semicolon, Comma, Dot, OpenParen, CloseParen],
  ...[OpenBracket, CloseBracket, OpenBrace, CloseBrace, DoubleStar, Star, Plus, Minus, Tilde, Infix, Bang, Equals],
  ...[OpenText, Unexpected],
];

/** Chevrotain's own checks of the definitions cost more than the lexing of a script; the tests run them. */
export const scriptLexer = new Lexer(ALL_TOKENS, { skipValidations: true, positionTracking: 'full' });
