import { createHash, createHmac } from 'node:crypto';

/** Who asks an object store. */
export interface Credentials {
  accessKey: string;
  secretKey: string;
}

/** One request of the S3 protocol. */
export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  url: URL;
  body?: string | Uint8Array;
}

const REGION = 'us-east-1';
const SIGNED = 'host;x-amz-content-sha256;x-amz-date';
const TIMEOUT_MS = 10_000;

/** Sends a signed request, over real HTTP. */
export async function s3(credentials: Credentials, request: S3Request): Promise<Response> {
  const { method, url, body = '' } = request;
  const headers = sign(credentials, request, new Date());
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return fetch(url, { method, headers, signal, ...(method === 'PUT' ? { body: Buffer.from(body) } : {}) });
}

/** Signature Version 4, for queries of one parameter at most: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function sign(
  { accessKey, secretKey }: Credentials,
  { method, url, body = '' }: S3Request,
  now: Date,
): Record<string, string> {
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const scope = [time.slice(0, 8), REGION, 's3', 'aws4_request'];
  const digest = sha256(body);
  const headers = `host:${url.host}\nx-amz-content-sha256:${digest}\nx-amz-date:${time}\n`;
  const query = url.searchParams.toString();
  const canonical = [method, url.pathname, query, headers, SIGNED, digest].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), sha256(canonical)].join('\n');
  const key = scope.reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${secretKey}`);
  const signature = hmac(key, text).toString('hex');
  return {
    'x-amz-content-sha256': digest,
    'x-amz-date': time,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope.join('/')}, SignedHeaders=${SIGNED}, Signature=${signature}`,
  };
}

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
