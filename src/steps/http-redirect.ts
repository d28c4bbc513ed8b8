import type { Egress, IncomingResponse } from './egress.ts';
import { type PreparedRequest, parseUrl } from './http-request.ts';
import { CallError } from './step-type.ts';

/** What a server must not learn because another one sent us to it; secret headers are the step's own. */
const CREDENTIALS = ['authorization', 'cookie'];
/** What is said about a body, and goes with it. */
const ABOUT_BODY = ['content-encoding', 'content-language', 'content-location', 'content-type'];

/**
 * Makes a request, and follows at most so many redirects; with 0, a redirect is the response.
 * @throws {CallError} TooManyRedirects, InvalidUrl, and what `Egress.request` throws
 */
export async function follow(
  first: PreparedRequest,
  maxRedirects: number,
  egress: Egress,
): Promise<IncomingResponse> {
  let request = first;
  for (let count = 0; ; count += 1) {
    const response = await egress.request(request);
    const next = maxRedirects === 0 ? undefined : redirected(request, response);
    if (!next) return response;
    if (count === maxRedirects) {
      throw new CallError(
        'TooManyRedirects',
        `${first.url.host} redirects more often than ${maxRedirects} times, at last to ${next.url.host}: correct http.url or raise http.maxRedirects.`,
      );
    }
    request = next;
  }
}

/**
 * The request that a redirect asks for, by RFC 9110 section 15.4 and the Fetch standard: 303 asks for a GET, 301 and
 * 302 make one of a POST. What is secret stays with the origin that it was meant for, which a change from https to http
 * leaves, too.
 *
 * @returns undefined when the response is no redirect
 * @throws {CallError} InvalidUrl
 */
export function redirected(
  request: PreparedRequest,
  response: IncomingResponse,
): PreparedRequest | undefined {
  const { location } = response.headers;
  if (location === undefined || ![301, 302, 303, 307, 308].includes(response.status)) return undefined;
  const url = parseUrl(`The redirect of ${request.url.host}`, location, request.url);
  const next = becomesGet(request.method, response.status) ? asGet(request) : request;
  if (url.origin === request.url.origin) return { ...next, url };
  return { ...next, url, headers: without(next.headers, [...CREDENTIALS, ...request.secretNames]) };
}

function becomesGet(method: string, status: number): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD';
  return (status === 301 || status === 302) && method === 'POST';
}

function asGet({ body: _body, headers, ...request }: PreparedRequest): PreparedRequest {
  return { ...request, method: 'GET', headers: without(headers, ABOUT_BODY) };
}

function without(headers: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}
