import path from 'node:path';
import { baseImages, buildBases } from '../cluster/base-images.ts';
import { type Cluster, up } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import { build, type Image, load } from '../cluster/images.ts';
import type { Report } from '../cluster/report.ts';
import type { ClusterOptions } from '../cluster/settings.ts';
import { buildEngines, engineImages } from '../cluster/tool-images.ts';

export const root = path.resolve(import.meta.dirname, '../..');

/** Namespace that the chart is installed into. */
export const NAMESPACE = 'signalbox-system';

const OPERATOR = 'localhost/signalbox/operator';
const SCRIPT = 'localhost/signalbox/script';
const RUNNERS = ['opentofu', 'terraform', 'ansible'] as const;
const TAG = 'dev';
export const scriptImage = `${SCRIPT}:${TAG}`;
export const operatorImage = `${OPERATOR}:${TAG}`;

/**
 * Boots a cluster and installs Signalbox from this checkout into it as people do: images, then the chart by helm.
 *
 * @param values further values of the chart, by their path
 */
export async function install(
  options: ClusterOptions,
  report: Report,
  values: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  const cluster = await boot(options, report);
  const operator = await buildOperator(report);
  await load(cluster, operator);
  await helmInstall(cluster, report, {
    'image.repository': OPERATOR,
    'image.tag': TAG,
    'scriptImage.repository': SCRIPT,
    'scriptImage.tag': TAG,
    ...Object.fromEntries(RUNNERS.flatMap(runnerImageValues)),
    // The tag stays the same when the content changes: this makes the pods be replaced.
    'podAnnotations.content': path.basename(operator.archive, '.tar'),
    ...values,
  });
  return cluster;
}

const runnerImageValues = (runner: Runner): [string, string][] => [
  [`${runner}Image.repository`, `localhost/signalbox/${runner}`],
  [`${runner}Image.tag`, TAG],
];

/** What a step on a Project can run in. */
export type Runner = (typeof RUNNERS)[number];

/** Tag of an image that {@link loadRunner} gives to a cluster. */
export const runnerImage = (runner: Runner) => `localhost/signalbox/${runner}:${TAG}`;

const engineArguments = (engine: Exclude<Runner, 'ansible'>) => ({
  ENGINE_BASE: engineImages[engine],
  ENGINE: `/usr/local/bin/${engine === 'opentofu' ? 'tofu' : 'terraform'}`,
});

/** Builds the image of a runner and gives it to the cluster. */
export async function loadRunner(cluster: Cluster, runner: Runner, report: Report): Promise<void> {
  await load(cluster, await buildRunner(runner, report));
}

/** Builds the image of a runner. The engines are built from Go when they first are needed. As root. */
export async function buildRunner(runner: Runner, report: Report): Promise<Image> {
  await buildBases(report);
  if (runner !== 'ansible') await buildEngines(report);
  return build(
    {
      tag: runnerImage(runner),
      dockerfile: path.join(
        root,
        `deploy/images/${runner === 'ansible' ? 'ansible' : 'terraform'}/Dockerfile`,
      ),
      context: root,
      args: {
        BASE: baseImages.debian,
        NODE_BASE: baseImages.node,
        ...(runner === 'ansible' ? {} : engineArguments(runner)),
      },
    },
    report,
  );
}

/** Boots a cluster that has the image of script steps. */
export async function boot(options: ClusterOptions, report: Report): Promise<Cluster> {
  const script = await buildScript(report);
  const cluster = await up(options, report);
  await load(cluster, script);
  return cluster;
}

/** Builds the image of the operator. As root. */
export async function buildOperator(report: Report): Promise<Image> {
  await buildBases(report);
  const args = { BUILD_BASE: baseImages.node, BASE: baseImages.debian };
  return build(
    { tag: operatorImage, dockerfile: path.join(root, 'Dockerfile'), context: root, args },
    report,
  );
}

/** Builds the image of script steps. As root. */
export async function buildScript(report: Report): Promise<Image> {
  await buildBases(report);
  return build(
    {
      tag: scriptImage,
      dockerfile: path.join(root, 'deploy/images/script/Dockerfile'),
      context: root,
      args: { BASE: baseImages.debian, NODE_BASE: baseImages.node, KUBECTL_BASE: baseImages.kubectl },
    },
    report,
  );
}

/** Installs the chart, or upgrades what is installed, and waits until it is ready. */
export async function helmInstall(
  cluster: Cluster,
  report: Report,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  const done = report('installing the chart');
  await forgetInterrupted(cluster);
  const where = ['--kubeconfig', cluster.kubeconfig, '--namespace', NAMESPACE, '--create-namespace'];
  const settings = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const chart = path.join(root, 'charts/signalbox');
  await run(
    [
      cluster.helm,
      'upgrade',
      'signalbox',
      chart,
      '--install',
      '--wait',
      '--timeout',
      '2m',
      ...where,
      ...settings,
    ],
    { limit: 180_000 },
  );
  done();
}

/** Helm refuses to go on where it was killed in the middle: its note of that is removed. */
async function forgetInterrupted({ kubectl, kubeconfig }: Cluster): Promise<void> {
  const selector = 'owner=helm,name=signalbox,status in (pending-install,pending-upgrade,pending-rollback)';
  const command = ['delete', 'secrets', '--namespace', NAMESPACE, '--selector', selector];
  await run([kubectl, '--kubeconfig', kubeconfig, ...command]);
}
