import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { makeAuthority } from '../../../src/steps/fake-authority.ts';

/** git's own HTTP server (`git http-backend`) behind TLS, with one user. */
export interface GitServer extends AsyncDisposable {
  url: string;
  ca: string;
  /** User and password of each request, or nothing. */
  seen: string[];
}

interface GitServerOptions {
  /** The folder with the repositories. */
  root: string;
  /** As `user:password`; left out: everybody may read. */
  login?: string;
  /** Answers with this status instead. */
  status?: number;
  /** Sends all requests on to there. */
  redirect?: string;
  /** Speaks the first protocol alone, which gives only what branches and tags point to. */
  old?: boolean;
}

export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const authority = makeAuthority('IP:127.0.0.1');
  const seen: string[] = [];
  const server = createServer({ key: authority.key, cert: authority.cert }, (request, response) => {
    const login = loginOf(request);
    seen.push(login);
    const { status, redirect } = options;
    if (redirect !== undefined) return response.writeHead(302, { location: redirect + request.url }).end();
    if (status !== undefined) return response.writeHead(status).end();
    if (options.login !== undefined && login !== options.login) {
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    }
    serve(options, request, response);
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: authority.ca,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function loginOf({ headers }: IncomingMessage): string {
  const [, encoded = ''] = (headers.authorization ?? '').split(' ');
  return Buffer.from(encoded, 'base64').toString('utf8');
}

function serve({ root, old }: GitServerOptions, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'https://localhost');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: old === true ? '' : String(request.headers['git-protocol'] ?? ''),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.once('close', () => answer(Buffer.concat(chunks), response));
}

/** A CGI program writes headers, an empty line and the body. */
function answer(output: Buffer, response: ServerResponse): void {
  const end = output.indexOf('\r\n\r\n');
  for (const line of output.subarray(0, end).toString().split('\r\n')) {
    const [name = '', value = ''] = line.split(': ');
    if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.end(output.subarray(end + 4));
}
