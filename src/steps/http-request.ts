import { X509Certificate } from 'node:crypto';
import { parseDuration } from '../api/common.ts';
import type { HttpStep } from '../api/http-step.ts';
import type { OutgoingRequest } from './egress.ts';
import { isDeeper, MAX_DEPTH } from './json-depth.ts';
import { type CallContext, CallError } from './step-type.ts';

/** Longest body of a request and of a response, in bytes. */
export const MAX_BODY = 1_048_576;
const DEFAULT_CONNECT_TIMEOUT = '10s';

/** Headers that say how the message is sent, which is not the step's to say. */
const RESERVED = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** A request that is ready to be made, and what of it is secret. */
export interface PreparedRequest extends OutgoingRequest {
  /** Names of the headers that hold secrets, in lower case. */
  secretNames: ReadonlySet<string>;
  /** The secrets themselves, which must come out nowhere. */
  secrets: readonly string[];
}

/**
 * Makes the request that a step describes.
 * @throws {CallError} InvalidUrl, InvalidHeader, InvalidBody, InvalidCa, RequestTooLarge, or why a Secret or ConfigMap
 * could not be read
 */
export async function prepare(http: HttpStep, context: CallContext): Promise<PreparedRequest> {
  const url = parseUrl('http.url', http.url);
  const body = bodyOf(http);
  const plain = Object.entries(http.headers ?? {}).map(([name, value]) => headerOf('headers', name, value));
  const secret = await secretHeadersOf(http, context);
  const ca = await caOf(http, context);
  refuseTwins([...plain, ...secret]);
  const defaults = {
    accept: '*/*',
    'accept-encoding': 'identity',
    'user-agent': 'signalbox',
    'idempotency-key': context.idempotencyKey,
    ...(body ? { 'content-type': body.type } : {}),
  };
  const given = Object.fromEntries(
    [...plain, ...secret].map(({ name, value }) => [name.toLowerCase(), value]),
  );
  return {
    method: http.method ?? 'GET',
    url,
    headers: { ...defaults, ...given },
    ...(body ? { body: body.text } : {}),
    ...(ca === undefined ? {} : { ca }),
    signal: context.signal,
    connectTimeoutMs: parseDuration(http.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT),
    maxBytes: MAX_BODY,
    secretNames: new Set(secret.map(({ name }) => name.toLowerCase())),
    secrets: secret.flatMap(({ secret, value }) => [secret, ...passwordIn(value)]),
  };
}

/**
 * An address that a request can go to.
 * @param what what the address is, for the message
 * @throws {CallError} InvalidUrl
 */
export function parseUrl(what: string, text: string, base?: URL): URL {
  const refuse = (why: string) => new CallError('InvalidUrl', `${what} ${why}`);
  // The parser leaves line breaks out without a word, so that a value could say something else than it shows.
  if (hasControl(text)) throw refuse('has a line break or another control character in it: encode it');
  const url = URL.parse(text, base);
  if (!url) throw refuse('is no address such as https://api.example.com/health: correct it');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw refuse(`goes to ${url.protocol}, and only https: and http: are called`);
  }
  if (url.username !== '' || url.password !== '') {
    throw refuse('has a user name or password in it: put them into secretHeaders');
  }
  return url;
}

interface Header {
  field: string;
  name: string;
  value: string;
}

/** @throws {CallError} InvalidHeader, which names the field and never the value */
function headerOf(member: 'headers' | 'secretHeaders', name: string, value: string): Header {
  const field = `http.${member}.${name}`;
  const refuse = (why: string) => new CallError('InvalidHeader', `${field} ${why}`);
  if (!/^[A-Za-z0-9_.-]+$/.test(name)) throw refuse('is no name of a header: use letters, digits and "-"');
  if (RESERVED.has(name.toLowerCase())) throw refuse('is set by the operator: remove it');
  if (!/^[\t -~]*$/.test(value)) {
    throw refuse(
      'has a line break, a control character or a letter that is not ASCII in its value: encode it',
    );
  }
  return { field, name, value };
}

/** Names of headers do not differ by case; which of two values was meant is not for us to guess. */
function refuseTwins(headers: readonly Header[]): void {
  const fields = new Map<string, string>();
  for (const { field, name } of headers) {
    const twin = fields.get(name.toLowerCase());
    if (twin !== undefined) {
      throw new CallError('InvalidHeader', `${field} is the same header as ${twin}: remove one of the two`);
    }
    fields.set(name.toLowerCase(), field);
  }
}

async function secretHeadersOf(
  { secretHeaders = {} }: HttpStep,
  context: CallContext,
): Promise<(Header & { secret: string })[]> {
  const reading = Object.entries(secretHeaders).map(async ([name, { prefix = '', ...reference }]) => {
    // Secrets made from files end with a line break.
    const secret = (await context.secret(reference)).trim();
    return { ...headerOf('secretHeaders', name, `${prefix}${secret}`), secret };
  });
  return Promise.all(reading);
}

/** Of Basic authentication the header has the password in Base64, and a server may tell what it has read in it. */
function passwordIn(value: string): string[] {
  const encoded = /^basic +(\S+)$/i.exec(value)?.[1];
  if (encoded === undefined) return [];
  const decoded = Buffer.from(encoded, 'base64').toString();
  return [decoded, decoded.slice(decoded.indexOf(':') + 1)];
}

async function caOf({ caFrom }: HttpStep, context: CallContext): Promise<string | undefined> {
  if (!caFrom) return undefined;
  const { secret, configMap } = caFrom;
  const pem = secret ? await context.secret(secret) : configMap && (await context.configMap(configMap));
  if (pem === undefined || isCertificate(pem)) return pem;
  const where = secret ? `Secret ${secret.name}` : `ConfigMap ${configMap?.name}`;
  const key = (secret ?? configMap)?.key;
  throw new CallError('InvalidCa', `http.caFrom: key ${key} of ${where} holds no certificate in PEM.`);
}

function isCertificate(pem: string): boolean {
  try {
    return pem.includes('-----BEGIN ') && new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

/** @throws {CallError} InvalidBody, RequestTooLarge */
function bodyOf(http: HttpStep): { text: string; type: string } | undefined {
  const body = textOf(http);
  if (!body || Buffer.byteLength(body.text) <= MAX_BODY) return body;
  throw new CallError(
    'RequestTooLarge',
    `The body is longer than ${MAX_BODY} bytes: send it from a script step.`,
  );
}

function textOf({ body, json, form }: HttpStep): { text: string; type: string } | undefined {
  if (body !== undefined) return { text: body, type: 'text/plain; charset=utf-8' };
  if (form) {
    return { text: new URLSearchParams(form).toString(), type: 'application/x-www-form-urlencoded' };
  }
  if (json === undefined) return undefined;
  if (isDeeper(json, MAX_DEPTH)) {
    throw new CallError('InvalidBody', `http.json is nested deeper than ${MAX_DEPTH} levels: flatten it.`);
  }
  return { text: JSON.stringify(json), type: 'application/json' };
}

// oxlint-disable-next-line no-control-regex -- those are what is looked for
const hasControl = (text: string) => /[\u0000-\u001f\u007f]/.test(text);
