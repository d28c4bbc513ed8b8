import type { Transport } from '../kube/transport.ts';

/** The minor version of Kubernetes 1 that first has all that the operator and its CRDs need. */
const MINIMUM = 33;

/**
 * Refuses to work where the API server would drop `spec.managedBy` of Jobs, and run every step a second time.
 * @throws {Error} that names both versions
 */
export async function assertSupported(transport: Transport): Promise<void> {
  const version = (await transport.request({
    verb: 'get',
    resource: 'version',
    method: 'GET',
    path: '/version',
    idempotent: true,
  })) as { major: string; minor: string; gitVersion: string };
  const minor = Number.parseInt(version.minor, 10);
  if (version.major === '1' && minor < MINIMUM) {
    throw new Error(
      `The API server is Kubernetes ${version.gitVersion}; Signalbox needs 1.${MINIMUM} or later.`,
    );
  }
}
