import type { Project } from '../../../src/api/resources.ts';
import { vaultEncrypted } from '../../../src/runner/fake-ansible-vault.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { silent } from '../../cluster/report.ts';
import { loadRunner } from '../../demo/install.ts';
import { newSecret } from '../../kit/canary.ts';
import { deployForge, type Forge } from '../../kit/forge.ts';
import type { Kit } from '../../kit/kit.ts';
import { secretOfSshKey } from '../../kit/private-key.ts';
import { deploySshHosts, type SshHosts } from '../../kit/ssh-host.ts';
import { makeSshKey } from '../../kit/ssh-key.ts';
import { ansibleCode, terraformCode } from './code.ts';
import type { Plants } from './plants.ts';

interface Ground {
  cluster: Cluster;
  kit: Kit;
  plants: Plants;
}

/** Makes what the kubelet reads for the runners. Gives the projects that use it, to be applied where admission is on. */
export async function plantForRunners({ cluster, kit, plants }: Ground): Promise<Project[]> {
  const [forge, hosts] = await Promise.all([
    deployForge(cluster, kit),
    deploySshHosts(cluster, kit, ['web1']),
    loadRunner(cluster, 'opentofu', silent),
    loadRunner(cluster, 'ansible', silent),
  ]);
  const { namespace } = kit;
  const plant = (name: string, secret: Record<string, string>) => plants.secret(namespace, name, { secret });
  const [vault, vaulted] = [newSecret(), newSecret()];
  // Nobody has it but in the repository, encrypted.
  plants.add('vaulted variable', vaulted, []);
  const items = [
    plant('git-token', { password: forge.token }),
    plant('git-wrong-token', { password: newSecret() }),
    plant('vault', { password: vault }),
    plant('wrong-vault', { password: newSecret() }),
    plant('variables', { plain: newSecret(), marked: newSecret(), kept: newSecret() }),
    plant('provider', { password: newSecret() }),
    ...(await sshKeys({ cluster, kit, plants }, forge, hosts)),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'forge-ca' }, data: { 'ca.crt': forge.ca } },
  ];
  await kit.apply({ apiVersion: 'v1', kind: 'List', items });
  return projectsOf(forge, hosts, vaultEncrypted(`vaulted: ${JSON.stringify(vaulted)}\n`, vault));
}

async function sshKeys({ kit, plants }: Ground, forge: Forge, hosts: SshHosts): Promise<object[]> {
  const sshKey = (name: string, privateKey: string, known_hosts: string) =>
    plants.secret(kit.namespace, name, {
      secret: { 'ssh-privatekey': privateKey },
      open: { known_hosts },
      partOf: secretOfSshKey,
    });
  const [stranger, visitor] = [await makeSshKey('stranger'), await makeSshKey('visitor')];
  return [
    sshKey('git-key', forge.sshKey, forge.knownHosts),
    sshKey('git-wrong-key', stranger.privateKey, forge.knownHosts),
    sshKey('hosts-key', hosts.privateKey, hosts.knownHosts),
    sshKey('hosts-wrong-key', visitor.privateKey, hosts.knownHosts),
  ];
}

async function projectsOf(forge: Forge, hosts: SshHosts, vaulted: string): Promise<Project[]> {
  const [infra, web] = await Promise.all(['infra', 'web'].map((name) => forge.createRepository(name)));
  if (!infra || !web) throw new Error('the forge made no repositories');
  await Promise.all([infra.push(terraformCode), web.push(ansibleCode(vaulted))]);
  const project = (name: string, url: string, credentials: string, more: object): Project => ({
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'Project',
    metadata: { name },
    spec: {
      git: { url, credentials: { name: credentials } },
      caBundle: { configMap: { name: 'forge-ca', key: 'ca.crt' } },
      secrets: { PROVIDER_PASSWORD: { name: 'provider', key: 'password' } },
      ...more,
    },
  });
  const variable = (key: string) => ({ name: 'variables', key });
  const terraform = {
    varsFrom: { plain: variable('plain'), marked: variable('marked'), kept: variable('kept') },
  };
  const playing = (name: string, credentials: string, vault: string) =>
    project(name, web.sshUrl, 'git-key', {
      env: { ANSIBLE_VERBOSITY: '4' },
      ansible: {
        user: hosts.user,
        credentials: { name: credentials },
        vault: { name: vault, key: 'password' },
      },
    });
  return [
    project('infra', infra.httpsUrl, 'git-token', { terraform }),
    project('denied-token', infra.httpsUrl, 'git-wrong-token', { terraform }),
    project('denied-key', infra.sshUrl, 'git-wrong-key', { terraform }),
    playing('web', 'hosts-key', 'vault'),
    playing('web-wrong-vault', 'hosts-key', 'wrong-vault'),
    playing('web-wrong-key', 'hosts-wrong-key', 'vault'),
  ];
}
