import { randomBytes } from 'node:crypto';
import type { Service } from 'kubernetes-types/core/v1.d.ts';
import { Agent, request } from 'undici';
import { makeServerCertificate } from '../cluster/certificates.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { load } from '../cluster/images.ts';
import { buildForge } from '../cluster/tool-images.ts';
import { type Account, FORGE, podOf, service, settingsOf } from './forge-pod.ts';
import { type Edit, type PushTarget, pushChange, writing } from './git-push.ts';
import type { Kit } from './kit.ts';
import { knownHost, makeSshKey } from './ssh-key.ts';

const TIMEOUT_MS = 10_000;

/** A real git forge in the cluster, with one account that owns everything in it. */
export interface Forge {
  /** Name of the account. */
  user: string;
  /** Access token of the account: its password for git over HTTPS. */
  token: string;
  /** Private key with which the account fetches and pushes over SSH. */
  sshKey: string;
  /** The forge's host key under each of its names: the content of a known_hosts file. */
  knownHosts: string;
  /** PEM of the private authority that vouches for the forge's certificate. */
  ca: string;
  /** Makes an empty repository, which only the account can read. */
  createRepository(name: string): Promise<Repository>;
  /** Turns an address for pods into one for this machine, which does not ask the cluster's DNS. */
  fromHere(url: string): string;
}

/** A repository, with the addresses under which pods reach it. */
export interface Repository {
  httpsUrl: string;
  sshUrl: string;
  /**
   * Commits files to a branch, and leaves its other files as they are. Gives the commit.
   *
   * @param files contents by path; null removes a file
   */
  push(files: Readonly<Record<string, string | null>>, target?: PushTarget): Promise<string>;
  /** Commits what `edit` does in a clone, such as `git submodule add ../other.git`. Gives the commit. */
  pushChange(edit: Edit, target?: PushTarget): Promise<string>;
}

/** Runs Gitea in the namespace of the kit: https://forge.NAMESPACE.svc and ssh://git@forge.NAMESPACE.svc. */
export async function deployForge(cluster: Pick<Cluster, 'folder'>, kit: Kit): Promise<Forge> {
  await load(cluster, await buildForge());
  await kit.apply(service);
  const address = (await kit.get<Service>('service', FORGE)).spec?.clusterIP ?? '';
  const host = `${FORGE}.${kit.namespace}.svc`;
  const names = [host, `${host}.cluster.local`];
  const tls = await makeServerCertificate(names, [address]);
  const hostKey = await makeSshKey(host);
  const account = { user: 'signalbox', password: randomBytes(16).toString('hex') };
  const items = [settingsOf(host, tls, hostKey), podOf(account)];
  await kit.apply({ apiVersion: 'v1', kind: 'List', items });
  await kit.kubectl(['wait', `pod/${FORGE}`, '--for=condition=Ready', '--timeout=50s']);
  const ca = tls.authority;
  const knownHosts = knownHost([...names, address], hostKey);
  return forgeOf(account, { host, address, ca, knownHosts });
}

interface Place extends Pick<Forge, 'ca' | 'knownHosts'> {
  host: string;
  address: string;
}

async function forgeOf({ user, password }: Account, place: Place): Promise<Forge> {
  const { host, address, ca, knownHosts } = place;
  const post = poster(`https://${address}/api/v1`, ca, basic(user, password));
  const { sha1: token } = await post<{ sha1: string }>(`/users/${user}/tokens`, {
    name: 'tests',
    scopes: ['all'],
  });
  const { privateKey: sshKey, publicKey } = await makeSshKey(user);
  await post('/user/keys', { title: 'tests', key: publicKey });
  const fromHere = (url: string) => url.replace(host, address);
  const createRepository = async (name: string): Promise<Repository> => {
    await post('/user/repos', { name, private: true, default_branch: 'main' });
    const httpsUrl = `https://${host}/${user}/${name}.git`;
    const remote = { url: fromHere(httpsUrl), user, token, ca };
    return {
      httpsUrl,
      sshUrl: `ssh://git@${host}/${user}/${name}.git`,
      push: (files, target) => pushChange(remote, writing(files), target),
      pushChange: (edit, target) => pushChange(remote, edit, target),
    };
  };
  return { user, token, sshKey, knownHosts, ca, createRepository, fromHere };
}

/** Gives a function that posts to Gitea's API: https://docs.gitea.com/development/api-usage */
function poster(base: string, ca: string, authorization: string) {
  const dispatcher = new Agent({ connect: { ca } });
  return async <T>(path: string, body: object): Promise<T> => {
    const { statusCode, body: answer } = await request(`${base}${path}`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      dispatcher,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await answer.text();
    if (statusCode !== 201) throw new Error(`POST ${path}: HTTP ${statusCode} ${text}`);
    return JSON.parse(text) as T;
  };
}

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
