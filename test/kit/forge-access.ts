import type { Project } from '../../src/api/resources.ts';
import type { Forge, Repository } from './forge.ts';
import type { Kit } from './kit.ts';

type Git = Project['spec']['git'];

/** How a Project reads from the forge. */
export const PROTOCOLS = ['https', 'ssh'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Makes the Secrets `git-https` and `git-ssh` with which Projects read from the forge, and the ConfigMap with its CA. */
export async function allowForge(kit: Kit, { user, token, sshKey, knownHosts, ca }: Forge): Promise<void> {
  const secret = (name: string, stringData: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    stringData,
  });
  const items = [
    secret('git-https', { username: user, password: token }),
    secret('git-ssh', { 'ssh-privatekey': sshKey, known_hosts: knownHosts }),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'forge-ca' }, data: { 'ca.crt': ca } },
  ];
  await kit.apply({ apiVersion: 'v1', kind: 'List', items });
}

/** A Project that reads from this repository. */
export function readingFrom(project: Project, { httpsUrl, sshUrl }: Repository, protocol: Protocol): Project {
  const git: Git = {
    ...project.spec.git,
    url: protocol === 'https' ? httpsUrl : sshUrl,
    credentials: { name: `git-${protocol}` },
  };
  return {
    ...project,
    spec: { ...project.spec, git, caBundle: { configMap: { name: 'forge-ca', key: 'ca.crt' } } },
  };
}
