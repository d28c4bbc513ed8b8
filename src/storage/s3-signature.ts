import { createHash, createHmac } from 'node:crypto';

/** Who asks an object store. */
export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of credentials that are good for a time. */
  sessionToken?: string;
}

/** What is signed of a request. */
export interface SignedRequest {
  method: string;
  url: URL;
  /** Further headers to sign, by lower-case name. */
  headers?: Record<string, string>;
  body: Buffer;
  region: string;
  /** The time of signing. */
  now: Date;
}

/**
 * The headers that sign a request, the given ones included: AWS Signature Version 4 in the Authorization header, as in
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function signS3(
  credentials: S3Credentials,
  { method, url, headers: more = {}, body, region, now }: SignedRequest,
): Record<string, string> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const scope = [time.slice(0, 8), region, 's3', 'aws4_request'];
  const headers: Record<string, string> = {
    ...more,
    'x-amz-content-sha256': sha256(body),
    'x-amz-date': time,
    ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
  };
  const signed = sorted(Object.entries({ ...headers, host: url.host }));
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    method,
    url.pathname,
    canonicalQuery(url.searchParams),
    ...signed.map(([name, value]) => `${name}:${value.trim()}`),
    '',
    names,
    sha256(body),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), sha256(canonical)].join('\n');
  const key = scope.reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${secretAccessKey}`);
  return {
    ...headers,
    authorization:
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope.join('/')}, ` +
      `SignedHeaders=${names}, Signature=${hmac(key, text).toString('hex')}`,
  };
}

function canonicalQuery(query: URLSearchParams): string {
  const encoded = Array.from(query, ([name, value]) => [encode(name), encode(value)] as const);
  return sorted(encoded)
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** Everything but letters, digits and `-._~` is encoded, which is more than encodeURIComponent does. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sorted<T extends readonly [string, string]>(pairs: T[]): T[] {
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1));
}

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
