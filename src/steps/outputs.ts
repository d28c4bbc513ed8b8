/** What the kubelet keeps of a termination message, in bytes; it cuts off the rest without a word. */
const LIMIT = 4096;

const KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The outputs that a step wrote, or why they cannot be used. */
export type Outputs =
  | { ok: true; values: Record<string, unknown> }
  | { ok: false; reason: 'OutputTooLarge' | 'InvalidOutput'; message: string };

/**
 * Reads what a step wrote to `$SIGNALBOX_OUTPUT`: one JSON object, or lines of `key=value`. Values of lines are
 * strings, and the last line of a key counts; values of JSON keep their types.
 *
 * @param text the termination message of the container, as the kubelet reports it
 */
export function parseOutputs(text: string): Outputs {
  if (Buffer.byteLength(text) >= LIMIT) {
    return {
      ok: false,
      reason: 'OutputTooLarge',
      message: `The step wrote ${LIMIT} bytes or more to $SIGNALBOX_OUTPUT: write less, and keep large results elsewhere.`,
    };
  }
  const trimmed = text.trim();
  return trimmed.startsWith('{') ? parseJson(trimmed) : parseLines(trimmed);
}

function parseJson(text: string): Outputs {
  try {
    const values: unknown = JSON.parse(text);
    // Text that starts with a brace parses to an object or not at all.
    return checkKeys(values as Record<string, unknown>);
  } catch (error) {
    return invalid(`$SIGNALBOX_OUTPUT starts with "{" and is not JSON: ${(error as Error).message}`);
  }
}

function parseLines(text: string): Outputs {
  const values: Record<string, unknown> = {};
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const equals = line.indexOf('=');
    if (equals < 1)
      return invalid(`Line ${index + 1} of $SIGNALBOX_OUTPUT is not of the form key=value: ${quote(line)}`);
    values[line.slice(0, equals).trim()] = line.slice(equals + 1).replace(/\r$/, '');
  }
  return checkKeys(values);
}

function checkKeys(values: Record<string, unknown>): Outputs {
  const bad = Object.keys(values).find((key) => !KEY.test(key) || key.length > 128);
  if (bad === undefined) return { ok: true, values };
  return invalid(
    `The output name ${quote(bad)} must consist of letters, digits and '_', not start with a digit, and have at most 128 characters.`,
  );
}

const invalid = (message: string): Outputs => ({ ok: false, reason: 'InvalidOutput', message });
const quote = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
