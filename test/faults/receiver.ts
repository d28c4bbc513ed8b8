import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What came for one path. */
export interface Deliveries {
  /** How often each `Idempotency-Key` came, in the order of their first coming. Without the header it is ''. */
  readonly keys: ReadonlyMap<string, number>;
}

/** An HTTP server that carries a request out once for each key, as a good API does, and counts. */
export interface Receiver extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  /** All that came, by path. */
  deliveries(): ReadonlyMap<string, Deliveries>;
}

/** What the query of a URL asks the receiver to do. */
interface Wish {
  /** Status for the first key, the second, ...; the last for all that follow. @default 200 */
  statuses: number[];
  /** Milliseconds until the answer. */
  delayMs: number;
  /** Comes back as `value` in the JSON of the answer. */
  value: string;
}

/**
 * Starts a receiver on a free port of this machine. The query of a URL says how it answers:
 * `?status=500,200&delay=300`: the second attempt, which comes with another key, succeeds. The same key gets the same
 * status again, however often it comes.
 */
export async function startReceiver(): Promise<Receiver> {
  const paths = new Map<string, Map<string, number>>();

  function count(path: string, key: string): number {
    const keys = paths.get(path) ?? new Map<string, number>();
    paths.set(path, keys);
    keys.set(key, (keys.get(key) ?? 0) + 1);
    return [...keys.keys()].indexOf(key);
  }

  function receive(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://receiver');
    const place = count(pathname, String(request.headers['idempotency-key'] ?? ''));
    const { statuses, delayMs, value } = wishOf(searchParams);
    request.resume();
    const timer = setTimeout(() => {
      response.writeHead(statuses[Math.min(place, statuses.length - 1)] ?? 200, {
        'content-type': 'application/json',
      });
      response.end(JSON.stringify({ value }));
    }, delayMs);
    response.once('close', () => clearTimeout(timer));
  }

  const server = createServer(receive);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    deliveries: () => new Map([...paths].map(([path, keys]) => [path, { keys }])),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function wishOf(query: URLSearchParams): Wish {
  const statuses = (query.get('status') ?? '200').split(',').map(Number);
  return { statuses, delayMs: Number(query.get('delay') ?? 0), value: query.get('value') ?? '' };
}
