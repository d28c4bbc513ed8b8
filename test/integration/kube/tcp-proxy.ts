import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Connection } from '../../../src/kube/config.ts';

/** Stands between a client and the API server, passes bytes, and can be as bad as a network. */
export interface TcpProxy extends AsyncDisposable {
  /** The same connection, through the proxy. */
  connection: Connection;
  /** Connections made so far. */
  count: number;
  /** Breaks all connections at once. */
  cut(): void;
  /** When not `open`, new connections are broken as they come. */
  open: boolean;
  /** Each connection breaks after so many bytes from the server, wherever that is. */
  budget: () => number;
  /** Passes nothing more on in the connections that exist, and closes nothing. */
  freeze(): void;
  /** Goes on where `freeze` stopped. */
  thaw(): void;
}

/** Starts a proxy on a free port of this machine. */
export async function startProxy(target: Connection): Promise<TcpProxy> {
  const { hostname, port } = new URL(target.server);
  const pairs = new Set<[Socket, Socket]>();
  const server = createServer((client) => {
    if (!proxy.open) {
      client.destroy();
      return;
    }
    proxy.count++;
    const upstream = connect(Number(port), hostname);
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    client.pipe(upstream);
    limit(upstream, client, proxy.budget(), end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const each = (act: (client: Socket, upstream: Socket) => void) => {
    for (const [client, upstream] of pairs) act(client, upstream);
  };
  const proxy: TcpProxy = {
    connection: { ...target, server: `https://127.0.0.1:${(server.address() as AddressInfo).port}` },
    count: 0,
    open: true,
    budget: () => Infinity,
    cut: () => each((client, upstream) => void (client.destroy(), upstream.destroy())),
    freeze: () => each((client, upstream) => void (client.pause(), upstream.pause())),
    thaw: () => each((client, upstream) => void (client.resume(), upstream.resume())),
    async [Symbol.asyncDispose]() {
      proxy.cut();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}

/** Passes `budget` bytes on, to the byte, and then breaks both. */
function limit(from: Socket, to: Socket, budget: number, end: () => void): void {
  let left = budget;
  from.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left >= 0) {
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      return;
    }
    to.end(chunk.subarray(0, chunk.length + left), end);
    from.pause();
  });
}
