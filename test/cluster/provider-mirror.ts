import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cacheRoot, contentName, makeOnce } from './cache.ts';
import { withLock } from './lock.ts';
import type { Report } from './report.ts';
import { ensureTool } from './tools.ts';

/** The version of hashicorp/time that the mirror has. */
export const timeProviderVersion = '0.14.2';

/** Where each engine looks for a provider that is named without a host. */
const registries = ['registry.opentofu.org', 'registry.terraform.io'];
/** What Go calls the machines that Node runs on. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const copyLimit = 60_000;

/**
 * Gives a folder with the provider hashicorp/time for both engines, in the unpacked layout of a filesystem mirror:
 * https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror
 */
export async function providerMirror(report: Report): Promise<string> {
  const provider = await ensureTool('terraform-provider-time', report);
  const place = path.join(cacheRoot, 'providers', contentName([provider, ...registries]));
  const fill = async (mirror: string) => {
    for (const registry of registries) await addTime(mirror, registry, provider);
  };
  return withLock(`${place}.lock`, copyLimit, () => makeOnce(place, fill));
}

async function addTime(mirror: string, registry: string, provider: string): Promise<void> {
  const target = `${process.platform}_${architectures[process.arch]}`;
  const folder = path.join(mirror, registry, 'hashicorp/time', timeProviderVersion, target);
  await mkdir(folder, { recursive: true });
  await copyFile(provider, path.join(folder, `terraform-provider-time_v${timeProviderVersion}`));
}
