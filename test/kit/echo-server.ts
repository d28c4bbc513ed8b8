/**
 * A server that tells whatever it is sent: one that a secret should never have been sent to, but was. It is no fake of
 * anything; it stands for every server that repeats a request in its answer.
 *
 *     /echo?status=500    the header x-secret, as it is and encoded, in the body and in headers
 *     /away               sends the caller to another origin, with the header in the address
 *     /silent             never answers
 *     /hooks/STATUS/TEXT  answers with the text, as an incoming webhook answers with a code
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface EchoServer extends AsyncDisposable {
  port: number;
  /** All values of x-secret that came. */
  seen: Set<string>;
}

export async function startEchoServer(): Promise<EchoServer> {
  const seen = new Set<string>();
  const server = createServer((request, response) => {
    const secret = String(request.headers['x-secret'] ?? '');
    if (secret !== '') seen.add(secret);
    answer(request, response, secret);
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function answer({ url = '/' }: IncomingMessage, response: ServerResponse, secret: string): void {
  const { pathname, searchParams } = new URL(url, 'http://echo');
  const [, what, status = '200', text = ''] = pathname.split('/');
  if (what === 'silent') return;
  if (what === 'hooks') {
    response.writeHead(Number(status), { 'content-type': 'text/html' }).end(text);
    return;
  }
  if (what === 'away') {
    const location = `http://127.0.0.2:1/${encodeURIComponent(secret)}`;
    response.writeHead(302, { location }).end(`Moved to ${location}`);
    return;
  }
  const spelled = spellings(secret);
  response.writeHead(Number(searchParams.get('status') ?? 200), {
    'content-type': 'application/json',
    'x-plain': secret,
    'x-base64': spelled.base64,
  });
  response.end(JSON.stringify(spelled));
}

/** How servers, and the programs behind them, tell what they were sent. */
function spellings(secret: string) {
  return {
    plain: secret,
    base64: Buffer.from(secret).toString('base64'),
    basic: `Basic ${Buffer.from(`user:${secret}`).toString('base64')}`,
    base64url: Buffer.from(`x${secret}`).toString('base64url'),
    url: encodeURIComponent(secret),
    form: new URLSearchParams({ secret }).toString(),
    json: JSON.stringify({ secret }),
    jsonOfGo: JSON.stringify(secret).replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`),
    number: 1,
  };
}
