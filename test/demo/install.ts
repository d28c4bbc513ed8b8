import path from 'node:path';
import { baseImages, buildBases } from '../cluster/base-images.ts';
import { type Cluster, up } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import { build, type Image, load } from '../cluster/images.ts';
import type { Report } from '../cluster/report.ts';
import type { ClusterOptions } from '../cluster/settings.ts';

export const root = path.resolve(import.meta.dirname, '../..');

/** Namespace that the chart is installed into. */
export const NAMESPACE = 'signalbox-system';

const OPERATOR = 'localhost/signalbox/operator';
const SCRIPT = 'localhost/signalbox/script';
const TAG = 'dev';
export const scriptImage = `${SCRIPT}:${TAG}`;
export const operatorImage = `${OPERATOR}:${TAG}`;

/** Boots a cluster and installs Signalbox from this checkout into it as people do: images, then the chart by helm. */
export async function install(options: ClusterOptions, report: Report): Promise<Cluster> {
  const cluster = await boot(options, report);
  const operator = await build(
    {
      tag: operatorImage,
      dockerfile: path.join(root, 'Dockerfile'),
      context: root,
      args: { BUILD_BASE: baseImages.node, BASE: baseImages.debian },
    },
    report,
  );
  await load(cluster, operator);
  const done = report('installing the chart');
  await helmInstall(cluster, operator);
  done();
  return cluster;
}

/** Boots a cluster that has the image of script steps. */
export async function boot(options: ClusterOptions, report: Report): Promise<Cluster> {
  await buildBases(report);
  const script = await build(
    {
      tag: scriptImage,
      dockerfile: path.join(root, 'deploy/images/script/Dockerfile'),
      context: path.join(root, 'deploy/images/script'),
      args: { BASE: baseImages.debian, NODE_BASE: baseImages.node, KUBECTL_BASE: baseImages.kubectl },
    },
    report,
  );
  const cluster = await up(options, report);
  await load(cluster, script);
  return cluster;
}

async function helmInstall(cluster: Cluster, operator: Image): Promise<void> {
  const values = {
    'image.repository': OPERATOR,
    'image.tag': TAG,
    'scriptImage.repository': SCRIPT,
    'scriptImage.tag': TAG,
    // The tag stays the same when the content changes: this makes the pods be replaced.
    'podAnnotations.content': path.basename(operator.archive, '.tar'),
  };
  await run(
    [
      cluster.helm,
      'upgrade',
      'signalbox',
      path.join(root, 'charts/signalbox'),
      '--install',
      '--kubeconfig',
      cluster.kubeconfig,
      '--namespace',
      NAMESPACE,
      '--create-namespace',
      '--wait',
      '--timeout',
      '2m',
      ...Object.entries(values).flatMap(([name, value]) => ['--set-string', `${name}=${value}`]),
    ],
    { limit: 180_000 },
  );
}
