import { X509Certificate } from 'node:crypto';
import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import { type ObjectName, type ResourceClient, resourceClient, type ResourceType } from '../kube/resource.ts';
import type { Transport } from '../kube/transport.ts';
import { BACKDATED_MS, isDue, signServer } from './certificate-term.ts';
import { type Certified, certificatesIn, covers, endOf, makeAuthority } from './certificates.ts';
import { isSameCertificate, type Serving, type ServingCertificate } from './serving.ts';
import { createWatched } from './watched.ts';

// The operator is its own certificate authority. Authority and certificate lie in one Secret, which all replicas share.
// When the certificate is renewed, it is signed by the newest authority; when that one ends within a year, the next one is
// made in the same write. So whoever took the authorities to trust at any time goes on trusting the operator for as long
// as a certificate lasts: a new authority signs nothing before that.

const SECRETS: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  namespaced: true,
};

const SECRET_TYPE = 'kubernetes.io/tls';

const DAY_MS = 24 * 60 * 60_000;
const AUTHORITY_MS = 10 * 365 * DAY_MS;
const NEXT_AUTHORITY_MS = 365 * DAY_MS;
const LOOK_MS = 60 * 60_000;
const RETRY_MS = 60_000;

export interface ServingOptions {
  transport: Transport;
  namespace: string;
  /** Name of the Secret. */
  name: string;
  /** DNS names and addresses under which the operator is called. */
  names: readonly string[];
  /** @returns milliseconds since the epoch */
  now: () => number;
  onError: (error: unknown) => void;
}

/** Reads the certificate, or makes it when this is the first replica of all. */
export async function createServing(options: ServingOptions): Promise<Serving> {
  const look = () => settle(options);
  return createWatched({
    first: await look(),
    look,
    isSame: isSameCertificate,
    everyMs: LOOK_MS,
    retryMs: RETRY_MS,
    onError: options.onError,
  });
}

/** The certificate as it should be, after what had to be done for that. */
async function settle(options: ServingOptions): Promise<ServingCertificate> {
  const { transport, namespace, name, names, now } = options;
  const client = resourceClient<Secret>(transport, SECRETS);
  for (;;) {
    const first = () => ({
      metadata: { namespace, name },
      type: SECRET_TYPE,
      data: dataOf(firstOf(names, now())),
    });
    const object = (await read(client, { namespace, name })) ?? (await client.ensure(first())).object;
    const found = readMaterial(object);
    if (found && isGood(found, names, now())) return servingOf(found);
    const next = found ? renewed(found, names, now()) : firstOf(names, now());
    const patch = { metadata: { resourceVersion: object.metadata?.resourceVersion }, data: dataOf(next) };
    try {
      await client.patch({ namespace, name }, patch);
    } catch (error) {
      // Another replica was quicker: take what it made.
      if (!isConflict(error)) throw error;
    }
  }
}

interface Material {
  server: Certified;
  /** All authorities to trust, the newest one first. */
  authorities: string;
  /** Key of the newest one. */
  authorityKey: string;
}

function firstOf(names: readonly string[], now: number): Material {
  const authority = newAuthority(now);
  return {
    server: signServer(authority, names, now),
    authorities: authority.certificate,
    authorityKey: authority.key,
  };
}

/** A new certificate by the newest authority; and the next authority, when this one will not do for long any more. */
function renewed({ authorities, authorityKey }: Material, names: readonly string[], now: number): Material {
  const trusted = certificatesIn(authorities).filter((pem) => endOf(pem) > now);
  const [newest] = trusted;
  if (newest === undefined) return firstOf(names, now);
  const server = signServer({ certificate: newest, key: authorityKey }, names, now);
  if (endOf(newest) - now > NEXT_AUTHORITY_MS) return { server, authorities: trusted.join(''), authorityKey };
  const next = newAuthority(now);
  return { server, authorities: [next.certificate, ...trusted].join(''), authorityKey: next.key };
}

function isGood({ server }: Material, names: readonly string[], now: number): boolean {
  const certificate = new X509Certificate(server.certificate);
  return names.every((name) => covers(certificate, name)) && !isDue(server.certificate, now);
}

const newAuthority = (now: number) =>
  makeAuthority(`signalbox ${new Date(now).toISOString()}`, {
    from: now - BACKDATED_MS,
    to: now + AUTHORITY_MS,
  });

function dataOf({ server, authorities, authorityKey }: Material): Record<string, string> {
  const texts = {
    'tls.crt': server.certificate,
    'tls.key': server.key,
    'ca.crt': authorities,
    'ca.key': authorityKey,
  };
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  );
}

/** Undefined when something is missing or is no certificate: it is made anew. */
function readMaterial({ data = {} }: Secret): Material | undefined {
  const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString();
  const authorities = text('ca.crt');
  const server = { certificate: text('tls.crt'), key: text('tls.key') };
  const authorityKey = text('ca.key');
  try {
    const [newest = ''] = certificatesIn(authorities);
    void [new X509Certificate(server.certificate), new X509Certificate(newest)];
    return server.key !== '' && authorityKey !== '' ? { server, authorities, authorityKey } : undefined;
  } catch {
    return undefined;
  }
}

function servingOf({ server, authorities }: Material): ServingCertificate {
  return { cert: server.certificate, key: server.key, ca: authorities };
}

function read(client: ResourceClient<Secret>, name: ObjectName): Promise<Secret | undefined> {
  return client.get(name).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
}
