import { buildFrom } from './base-images.ts';
import type { Image } from './images.ts';
import { providerMirror } from './provider-mirror.ts';
import { type Report, silent } from './report.ts';
import { ensureTool } from './tools.ts';

/** versitygw, an object store, at /bin/versitygw and nothing else. */
export const objectStoreImage = 'localhost/signalbox-base/versitygw:1.8';
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

/** Builds {@link engineImages} and {@link providersImage}, for Dockerfiles that take parts from them. */
export async function buildEngines(report: Report = silent): Promise<void> {
  const tofu = await ensureTool('opentofu', report);
  await buildFrom('opentofu', engineImages.opentofu, { tofu }, tofu, report);
  const terraform = await ensureTool('terraform', report);
  await buildFrom('terraform', engineImages.terraform, { terraform }, terraform, report);
  const providers = await providerMirror(report);
  await buildFrom('terraform-providers', providersImage, { providers }, providers, report);
}
