// How a secret looks in what programs and servers write. The operator and the runner both hide secrets by it.

/** Shorter pieces of Base64 stand in other words too. */
const SHORTEST_BASE64 = 8;

/** All ways to write a secret that are worth looking for: none of them twice. */
export function spellingsOf(secret: string): Set<string> {
  const quoted = [...inShells(secret)];
  const escaped = quoted.flatMap((text) => [...inStrings(text)]);
  return new Set([
    ...quoted,
    ...escaped,
    // What is logged is often JSON that has JSON in it, or the words of a Python program about JSON.
    ...escaped.flatMap((text) => [...inStrings(text)]),
    ...inUrls(secret),
    ...inHtml(secret),
    ...inHexadecimal(secret),
    ...inBase64(secret),
  ]);
}

/** Within the quotes of a shell: as others write it, and as Python does. */
function* inShells(secret: string): Generator<string> {
  yield secret;
  yield secret.replaceAll("'", String.raw`'\''`);
  yield secret.replaceAll("'", `'"'"'`);
}

/** Within the quotes of JSON, and of what Python shows. */
function* inStrings(text: string): Generator<string> {
  const json = JSON.stringify(text).slice(1, -1);
  yield json;
  // Programs in Go escape these for the sake of HTML.
  yield json.replace(/[<>&]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const doubled = text.replaceAll('\\', String.raw`\\`);
  yield doubled;
  yield doubled.replaceAll("'", String.raw`\'`);
}

function* inUrls(secret: string): Generator<string> {
  const url = encodeURIComponent(secret.toWellFormed());
  // Others than JavaScript escape these, too.
  const strict = url.replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  for (const spelling of [url, strict]) {
    yield spelling;
    yield spelling.replaceAll('%20', '+');
  }
}

function* inHtml(secret: string): Generator<string> {
  const named = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  yield named;
  yield named.replaceAll('"', '&quot;').replaceAll("'", '&#39;');
  yield named.replaceAll('"', '&quot;').replaceAll("'", '&#x27;');
  yield named.replaceAll('"', '&#34;').replaceAll("'", '&#39;');
}

function* inHexadecimal(secret: string): Generator<string> {
  const hex = Buffer.from(secret).toString('hex');
  yield hex;
  yield hex.toUpperCase();
}

/**
 * Base64 of a text that has the secret in it depends on where in the text it stands: three bytes make four characters.
 * So for each of the three places, the characters that the secret alone decides.
 */
function* inBase64(secret: string): Generator<string> {
  const bytes = Buffer.from(secret);
  for (const before of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64url');
    const first = Math.ceil((before * 8) / 6);
    const core = encoded.slice(first, Math.floor(((before + bytes.length) * 8) / 6));
    if (core.length < SHORTEST_BASE64) continue;
    yield core;
    yield core.replaceAll('-', '+').replaceAll('_', '/');
  }
}
