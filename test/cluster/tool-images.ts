import { buildDebian, buildFrom } from './base-images.ts';
import type { Image } from './images.ts';
import { providerMirror } from './provider-mirror.ts';
import { type Report, silent } from './report.ts';
import { ensureTool, giteaFiles } from './tools.ts';

/** versitygw, an object store, at /bin/versitygw and nothing else. */
export const objectStoreImage = 'localhost/signalbox-base/versitygw:1.8';
/** Gitea, a git forge, with git and the user `git` that it runs as. */
export const forgeImage = 'localhost/signalbox-base/gitea:1.26';
/** sshd without root, and the Python that Ansible needs on the hosts it works on. */
export const sshHostImage = 'localhost/signalbox-base/ssh-host:trixie';
/** Tags of images with an engine at /usr/local/bin, as `tofu` or `terraform`, and nothing else. */
export const engineImages = {
  opentofu: 'localhost/signalbox-base/opentofu:1.12',
  terraform: 'localhost/signalbox-base/terraform:1.13',
} as const;
/** What {@link providerMirror} gives, at /providers, and nothing else. */
export const providersImage = 'localhost/signalbox-base/terraform-providers:1';

/** Builds the image of an object store. */
export async function buildObjectStore(report: Report = silent): Promise<Image> {
  const versitygw = await ensureTool('versitygw', report);
  return buildFrom('versitygw', objectStoreImage, { versitygw }, versitygw, report);
}

/** Builds the image of a git forge. */
export async function buildForge(report: Report = silent): Promise<Image> {
  const debian = await buildDebian(report);
  const gitea = await ensureTool('gitea', report);
  const share = await giteaFiles();
  return buildFrom('gitea', forgeImage, { gitea, share }, [debian.archive, gitea, share].join(), report);
}

/** Builds the image of a host to log in to. */
export async function buildSshHost(report: Report = silent): Promise<Image> {
  const { archive } = await buildDebian(report);
  return buildFrom('ssh-host', sshHostImage, {}, archive, report);
}

/** Builds {@link engineImages} and {@link providersImage}, for Dockerfiles that take parts from them. */
export async function buildEngines(report: Report = silent): Promise<void> {
  const tofu = await ensureTool('opentofu', report);
  await buildFrom('opentofu', engineImages.opentofu, { tofu }, tofu, report);
  const terraform = await ensureTool('terraform', report);
  await buildFrom('terraform', engineImages.terraform, { terraform }, terraform, report);
  const providers = await providerMirror(report);
  await buildFrom('terraform-providers', providersImage, { providers }, providers, report);
}
