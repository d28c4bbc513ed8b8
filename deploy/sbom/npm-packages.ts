import * as z from 'zod';
import type { Component } from './bill.ts';

/** The parts of `package-lock.json` that tell what a package is. */
export const lockfile = z.object({
  name: z.string(),
  version: z.string(),
  lockfileVersion: z.literal(3),
  packages: z.record(
    z.string(),
    z.object({
      name: z.string().optional(),
      version: z.string().optional(),
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      license: z.string().optional(),
      link: z.boolean().optional(),
      inBundle: z.boolean().optional(),
      hasInstallScript: z.boolean().optional(),
      dependencies: z.record(z.string(), z.string()).optional(),
      devDependencies: z.record(z.string(), z.string()).optional(),
      optionalDependencies: z.record(z.string(), z.string()).optional(),
    }),
  ),
});
export type Lockfile = z.infer<typeof lockfile>;

/**
 * The packages that files come from.
 *
 * @param files paths with `node_modules/` in them, as esbuild gives them; others are our own
 */
export function packagesOf(files: readonly string[], { packages }: Lockfile): Component[] {
  const places = new Set(files.flatMap((file) => placeOf(file) ?? []));
  return [...places].map((place) => {
    const found = packages[place];
    if (!found?.version) throw new Error(`package-lock.json does not say what ${place} is: run npm install`);
    return componentOf(place, { ...found, version: found.version });
  });
}

/** Where a package lies, as the lockfile names it; undefined for what is in none. */
function placeOf(file: string): string | undefined {
  const inside = file.slice(Math.max(0, file.indexOf('node_modules/')));
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(inside)?.[0];
}

interface Locked {
  version: string;
  integrity?: string | undefined;
  license?: string | undefined;
}

function componentOf(place: string, { version, integrity, license }: Locked): Component {
  const whole = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const [group, name] = whole.startsWith('@') ? whole.split('/') : [undefined, whole];
  const purl = `pkg:npm/${whole.replace('@', '%40')}@${version}`;
  const digest = /^sha512-(.+)$/.exec(integrity ?? '')?.[1];
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group === undefined ? {} : { group }),
    name: name ?? whole,
    version,
    purl,
    ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
    ...(digest === undefined
      ? {}
      : { hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }] }),
  };
}
