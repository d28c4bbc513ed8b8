import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { type Clock, systemClock } from './clock.ts';

/** Where the API server is and who we are to it. */
export interface Connection {
  /** `https://host:port`, with a path when the server stands behind a proxy that wants one. */
  server: string;
  /** PEM. Absent: the system's own authorities. */
  ca?: Buffer | string;
  /** PEM client certificate and its key, taken once at the start. */
  cert?: Buffer | string;
  key?: Buffer | string;
  /** Name that the server's certificate must carry, when it differs from the host. */
  serverName?: string;
  /** Accept any server certificate. */
  insecure: boolean;
  token?: TokenSource;
  /** User to act as. */
  impersonate?: string;
}

/** A bearer token that may change over time. */
export interface TokenSource {
  read(): Promise<string | undefined>;
  /** Called when the server turned the token down: the next read must not come from memory. */
  forget(): void;
}

/** The connection settings are missing or cannot be used. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly reason: 'NoCluster' | 'ProxyUnsupported';

  constructor(reason: ConfigError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Kubelet rewrites a bound token's file after 80 % of its life, which is at least ten minutes. */
const TOKEN_MAX_AGE_MS = 10_000;

/**
 * Finds the API server as kubectl does: the given file, else `KUBECONFIG`, else `~/.kube/config`, else the
 * service account of the Pod.
 *
 * @throws {ConfigError} when there is none, or it is reached through a proxy.
 */
export async function loadConnection(
  options: { kubeconfig?: string; context?: string } = {},
): Promise<Connection> {
  const config = new KubeConfig();
  if (options.kubeconfig) config.loadFromFile(options.kubeconfig);
  else config.loadFromDefault();
  if (options.context) config.setCurrentContext(options.context);
  return connectionOf(config);
}

async function connectionOf(config: KubeConfig): Promise<Connection> {
  const cluster = config.getCurrentCluster();
  const contextName = config.getCurrentContext();
  // client-node makes up this context when it found no settings at all.
  if (!cluster || contextName === 'loaded-context') {
    throw new ConfigError(
      'NoCluster',
      `No cluster to connect to: context "${contextName}" names none. Set KUBECONFIG, or run inside a Pod.`,
    );
  }
  if (cluster.proxyUrl) {
    throw new ConfigError(
      'ProxyUnsupported',
      `Cluster "${cluster.name}" has a proxy-url: give it a server address that is reached directly.`,
    );
  }
  const { ca, cert, key, token } = await credentials(config);
  const impersonate = config.getCurrentUser()?.impersonateUser;
  return {
    server: cluster.server,
    insecure: cluster.skipTLSVerify,
    ...(ca ? { ca } : {}),
    ...(cert && key ? { cert, key } : {}),
    ...(cluster.tlsServerName ? { serverName: cluster.tlsServerName } : {}),
    ...(token ? { token: tokenSource(config) } : {}),
    ...(impersonate ? { impersonate } : {}),
  };
}

function tokenSource(config: KubeConfig): TokenSource {
  const file = tokenFile(config);
  if (file) return cachedToken(async () => (await readFile(file, 'utf8')).trim());
  return cachedToken(async (fresh) => {
    // The plugins' authenticators keep a token until it says it expires; only a new configuration asks again.
    const source = fresh ? copyOf(config) : config;
    return (await credentials(source)).token;
  });
}

/**
 * Remembers what `load` gives for ten seconds, which is how soon a rotated token is noticed even when the old one still works.
 *
 * @param load is told whether the server refused what it gave before.
 */
export function cachedToken(
  load: (fresh: boolean) => Promise<string | undefined>,
  clock: Clock = systemClock,
): TokenSource {
  let loading: Promise<string | undefined> | undefined;
  let loadedAt = 0;
  let refused = false;
  return {
    read() {
      if (loading && clock.now() - loadedAt < TOKEN_MAX_AGE_MS) return loading;
      loadedAt = clock.now();
      loading = load(refused);
      refused = false;
      // A failed read is told to those who wait for it, and not remembered.
      loading.catch(() => {
        loading = undefined;
      });
      return loading;
    },
    forget() {
      loading = undefined;
      refused = true;
    },
  };
}

async function credentials(config: KubeConfig) {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { Authorization } = (options.headers ?? {}) as { Authorization?: string };
  const token = Authorization?.replace(/^Bearer /, '').trim();
  return { ca: pem(options.ca), cert: pem(options.cert), key: pem(options.key), token };
}

/** The plugins give PEM text or bytes; other forms that Node's type allows do not come up. */
function pem(value: unknown): Buffer | string | undefined {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value : undefined;
}

function tokenFile(config: KubeConfig): string | undefined {
  const provider: unknown = config.getCurrentUser()?.authProvider;
  return (provider as { config?: { tokenFile?: string } } | undefined)?.config?.tokenFile;
}

function copyOf(config: KubeConfig): KubeConfig {
  const copy = new KubeConfig();
  copy.loadFromOptions(config);
  return copy;
}
