import { STATUS_CODES } from 'node:http';
import type { HttpStep } from '../api/http-step.ts';
import type { IncomingResponse } from './egress.ts';
import { isDeeper, MAX_DEPTH } from './json-depth.ts';
import { type Mask, maskDeep } from './mask.ts';

/** Longest piece of a body that a message repeats. */
const MAX_EXCERPT = 200;

/** A response as expressions see it, without the secrets that were sent. */
export interface HttpResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
  /** Absent when the body is no JSON, or nested too deep to be read. */
  json?: unknown;
}

/** A server may send back what it was sent: nothing that is made from the response can then hold it. */
export function readResponse({ status, headers, body }: IncomingResponse, mask: Mask): HttpResponse {
  const text = new TextDecoder().decode(body);
  const json = parseJson(text);
  return {
    status,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, mask(value)])),
    body: mask(text),
    ...(json === undefined ? {} : { json: maskDeep(json, mask) }),
  };
}

function parseJson(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text);
    return isDeeper(json, MAX_DEPTH) ? undefined : json;
  } catch {
    return undefined;
  }
}

/** For example `HTTP 404 Not Found`. */
export const statusLine = (status: number): string =>
  `HTTP ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();

/** The beginning of a body, on one line, for a message. */
export function excerptOf(body: string): string {
  const line = body
    .slice(0, 10 * MAX_EXCERPT)
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S}]+/gu, ' ')
    .trim();
  return line.length > MAX_EXCERPT ? `${line.slice(0, MAX_EXCERPT).toWellFormed()}…` : line;
}

/** Whether a status is one of those that the step expects. */
export function isExpected(status: number, expected: HttpStep['expectedStatus'] = ['2xx']): boolean {
  return expected.some((entry) => {
    const [low = '', high = low] = String(entry).split('-');
    return status >= Number(low.replaceAll('x', '0')) && status <= Number(high.replaceAll('x', '9'));
  });
}

/**
 * How long the server asks to wait, in milliseconds, from the `Retry-After` of a 429 or 503: seconds or an HTTP date.
 * @param now milliseconds since the epoch
 */
export function retryAfterOf({ status, headers }: HttpResponse, now: number): number | undefined {
  const value = headers['retry-after']?.trim();
  if (value === undefined || (status !== 429 && status !== 503)) return undefined;
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1000;
  const date = value.endsWith('GMT') ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
