import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Pod, PodList } from 'kubernetes-types/core/v1.d.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { NAMESPACE } from '../../demo/install.ts';
import type { EtcdEntry } from '../../kit/etcd.ts';
import type { ReceivedBySlack } from '../../kit/fake-slack.ts';
import type { Kit } from '../../kit/kit.ts';

/** Something that people can read, or that is kept. */
export interface Place {
  where: string;
  content: Buffer;
}

/** What containers have written, also those that have ended, as long as their pods are there. */
export const containerLogs = (cluster: Cluster) => files(path.join(cluster.folder, 'var/log/pods'));

/** What the parts of the cluster have written, the API server's audit log included if it keeps one. */
export const clusterLogs = (cluster: Cluster) => files(path.join(cluster.folder, 'log'));

/** All files below a folder. */
export async function files(folder: string): Promise<Place[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.join(parentPath, name));
  const places = found.map(async (file): Promise<Place[]> => {
    const where = `file ${path.relative(folder, file)}`;
    // Logs of pods that are deleted are removed.
    return readFile(file).then(
      (content) => [{ where, content }],
      () => [],
    );
  });
  return (await Promise.all(places)).flat();
}

/** The replicas of the operator that are to stay. */
export async function replicas(kit: Kit): Promise<Pod[]> {
  const { items } = await kit.get<PodList>('pods', '-n', NAMESPACE, '-l', 'app.kubernetes.io/name=signalbox');
  return items.filter(({ metadata, status }) => !metadata?.deletionTimestamp && status?.phase === 'Running');
}

/** What each replica of the operator shows to those who scrape it. */
export async function metrics(kit: Kit): Promise<Place[]> {
  const pods = await replicas(kit);
  return Promise.all(
    pods.map(async ({ metadata, status }) => {
      const response = await fetch(`http://${status?.podIP}:8080/metrics`);
      return { where: `metrics of ${metadata?.name}`, content: Buffer.from(await response.text()) };
    }),
  );
}

export const entriesOf = (entries: readonly EtcdEntry[]): Place[] =>
  entries.map(({ key, value }) => ({ where: key, content: Buffer.concat([Buffer.from(key), value]) }));

/** All that Slack is told, but for what shows it who tells: the token, and the address of a webhook. */
export const toldToSlack = (received: readonly ReceivedBySlack[]): Place[] =>
  received.map(({ headers, body, answer }, index) => {
    const { authorization: _, ...others } = headers;
    const content = Buffer.from(JSON.stringify({ others, body, answer }));
    return { where: `message ${index + 1} to Slack`, content };
  });
