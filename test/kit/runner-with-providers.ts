import path from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { build, load } from '../cluster/images.ts';
import { providersImage } from '../cluster/tool-images.ts';
import { runnerImage } from '../demo/install.ts';

const images = path.join(import.meta.dirname, '../cluster/images');

/** Gives the cluster the runner of OpenTofu with a mirror of providers at /providers, and gives the tag of the image. */
export async function loadRunnerWithProviders(cluster: Cluster): Promise<string> {
  const image = await build({
    tag: 'localhost/signalbox-test/opentofu-with-providers:dev',
    dockerfile: path.join(images, 'runner-with-providers.Dockerfile'),
    context: images,
    args: { RUNNER: runnerImage('opentofu'), PROVIDERS: providersImage },
  });
  await load(cluster, image);
  return image.tag;
}
