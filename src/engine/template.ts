import type { Scalar } from '../api/common.ts';
import { compileExpression, type Expression, type Values } from './expression.ts';
import type { Scope } from './references.ts';
import { cut, MAX_QUOTE } from './text.ts';

/** Longest text that a template may come to, in characters. */
const MAX_TEXT = 65_536;

/** A string with `${{ expression }}` in it, parsed once. */
export interface Template {
  parts: readonly (string | Expression)[];
}

/**
 * Parses the `${{ }}` of a string. To write a literal `${{`, put it into an expression: `${{ "${{" }}`.
 * The problems are sentences that say what is wrong and how to mend it.
 */
export function compileTemplate(
  text: string,
  scope: Scope,
): { ok: true; template: Template } | { ok: false; problems: string[] } {
  const parts: (string | Expression)[] = [];
  const problems: string[] = [];
  let at = 0;
  for (let open = text.indexOf('${{'); open >= 0; open = text.indexOf('${{', at)) {
    const close = endOfExpression(text, open + 3);
    if (close === undefined) return { ok: false, problems: ['has a ${{ without its }}: close it'] };
    const source = text.slice(open + 3, close).trim();
    const compiled = compileExpression(source, scope);
    parts.push(text.slice(at, open));
    if (compiled.ok) parts.push(compiled.expression);
    else problems.push(...compiled.problems.map((problem) => `\${{ ${cut(source, MAX_QUOTE)} }} ${problem}`));
    at = close + 2;
  }
  parts.push(text.slice(at));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, template: { parts } };
}

/** Where the `}}` is that closes an expression: braces of maps are matched, those in quotes are text. */
function endOfExpression(text: string, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const letter = text[at];
    if (letter === '"' || letter === "'") {
      const end = endOfQuote(text, at);
      if (end === undefined) return undefined;
      at = end;
    } else if (letter === '{') depth += 1;
    else if (letter === '}' && depth > 0) depth -= 1;
    else if (letter === '}' && text[at + 1] === '}') return at;
  }
  return undefined;
}

/** Last position of the text in quotes that begins at `start`: CEL knows `"`, `'`, `"""`, `'''` and raw `r"`. */
function endOfQuote(text: string, start: number): number | undefined {
  const quote = text[start] ?? '';
  const mark = text.startsWith(quote.repeat(3), start) ? quote.repeat(3) : quote;
  const raw = /[rR][bB]?$/.test(text.slice(0, start));
  for (let at = start + mark.length; at < text.length; at += 1) {
    if (!raw && text[at] === '\\') at += 1;
    else if (text.startsWith(mark, at)) return at + mark.length - 1;
  }
  return undefined;
}

/**
 * The text that a template stands for; the error is a sentence.
 *
 * @param escape is applied to what expressions give, and not to the text around them
 */
export function renderTemplate(
  { parts }: Template,
  values: Values,
  escape: (value: string) => string = (value) => value,
): { text: string } | { error: string } {
  let text = '';
  for (const part of parts) {
    const piece = typeof part === 'string' ? { text: part } : render(part, values);
    if ('error' in piece) return piece;
    text += typeof part === 'string' ? part : escape(piece.text);
    if (text.length > MAX_TEXT) return { error: `comes to more than ${MAX_TEXT} characters` };
  }
  return { text };
}

/** The same, but a template that is one expression and nothing else is the value of that, which must be a scalar. */
export function renderScalar(template: Template, values: Values): { value: Scalar } | { error: string } {
  const [expression, ...others] = template.parts.filter((part) => part !== '');
  if (expression === undefined || typeof expression === 'string' || others.length > 0) {
    const rendered = renderTemplate(template, values);
    return 'error' in rendered ? rendered : { value: rendered.text };
  }
  const result = expression.evaluate(values);
  if ('value' in result && (typeof result.value === 'number' || typeof result.value === 'boolean')) {
    return { value: result.value };
  }
  const rendered = render(expression, values);
  return 'error' in rendered ? rendered : { value: rendered.text };
}

function render(expression: Expression, values: Values): { text: string } | { error: string } {
  const result = expression.evaluate(values);
  const blame = (error: string) => ({ error: `\${{ ${cut(expression.source, MAX_QUOTE)} }}: ${error}` });
  if ('error' in result) return blame(result.error);
  const { value } = result;
  if (typeof value === 'string') return { text: value };
  // Nobody means the word "null", and an empty text in its place would hide the mistake.
  if (value === null) return blame('is null: write what to use instead, for example x == null ? "" : x');
  return { text: JSON.stringify(value) };
}
