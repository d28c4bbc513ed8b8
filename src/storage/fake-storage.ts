import type { TestContext } from 'node:test';
import { createArtifacts } from './artifacts.ts';
import { fakeKeys } from './fake-keys.ts';
import { type FakeSecrets, fakeSecrets } from './fake-secrets.ts';
import type { Grant } from './grants.ts';
import { createSecretBlobs } from './secret-blobs.ts';
import { createStorage, type Storage } from './storage.ts';

/** Storage on a fake API server, with a clock and keys that the test moves. */
export interface FakeStorage extends FakeSecrets {
  storage: Storage;
  keys: ReturnType<typeof fakeKeys>;
  clock: { now: number };
  errors: unknown[];
}

export async function fakeStorage(t: TestContext): Promise<FakeStorage> {
  const fake = await fakeSecrets(t);
  const keys = fakeKeys('a');
  const clock = { now: Date.now() };
  const errors: unknown[] = [];
  const storage = await createStorage({
    transport: fake.transport,
    namespace: 'system',
    keys,
    now: () => clock.now,
    onError: (error) => errors.push(error),
  });
  return Object.assign(fake, { storage, keys, clock, errors });
}

/** Artifacts in the Secrets of a fake. */
export function artifactsIn({ transport, keys }: Pick<FakeStorage, 'transport' | 'keys'>) {
  return createArtifacts(keys, [createSecretBlobs(transport, 'system')]);
}

/** A grant of a plan step of a run. */
export function grantOf(changes: Partial<Grant> = {}): Grant {
  return {
    namespace: 'team-a',
    pod: 'deploy-1-plan-1',
    run: { name: 'deploy-1', uid: 'run-uid-1' },
    row: 'plan',
    attempt: 1,
    project: 'network',
    source: 'source-1',
    managed: true,
    stateVersions: 3,
    action: 'plan',
    ...changes,
  };
}

/** A state of Terraform, of that many bytes at least. */
export function terraformState(serial: number, lineage = 'lineage-1', bytes = 0): Buffer {
  return Buffer.from(JSON.stringify({ version: 4, serial, lineage, padding: 'x'.repeat(bytes) }));
}
