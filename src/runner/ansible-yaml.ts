/**
 * Writes a JSON value as YAML that Ansible takes as data: nothing in it is a template, and no text becomes an expression
 * where a task evaluates one.
 *
 * The tag stands before the whole value. Before a single text, Ansible would guess its type anew: `!unsafe "123"` is a
 * number.
 */
export const dataYaml = (value: unknown) => `!unsafe ${flow(value)}`;

/** The same without the tag: for what Ansible takes as a name. */
export function quoted(text: string): string {
  const escaped = Array.from(text.toWellFormed(), escapedCharacter).join('');
  return `"${escaped}"`;
}

function flow(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return 'null';
  // YAML takes a name of more than 1024 characters only after a question mark.
  const members = Object.entries(value).map(([name, member]) => `? ${quoted(name)} : ${flow(member)}`);
  return `{${members.join(', ')}}`;
}

/** YAML 1.1 takes 1e21 as a text, unless it is told otherwise. */
const numberText = (value: number) =>
  Number.isSafeInteger(value) ? value.toFixed(0) : `!!float "${value.toExponential()}"`;

/** YAML breaks lines at more characters than JSON, and refuses some that JSON has. */
function escapedCharacter(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  if (/^[ -~]$/.test(character)) return character;
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
  return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
}
