import * as z from 'zod';
import type { Lockfile } from './sbom/npm-packages.ts';

export const packageJson = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
});

/** One version and no other: no range, tag, address or file. */
const EXACT = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
/** What npm asks unless somebody's own settings say otherwise. */
const REGISTRY = 'https://registry.npmjs.org/';
/** Packages that run code of theirs when they are installed; images are built without that. Read it before you add one. */
const RUN_AT_INSTALL = new Set(['node_modules/esbuild', 'node_modules/node']);

/**
 * What lets a build get something else than what was tested: each with the place and what to do.
 *
 * @param asked package.json
 * @param locked package-lock.json
 */
export function lockfileProblems(asked: z.infer<typeof packageJson>, locked: Lockfile): string[] {
  const { '': root, ...packages } = locked.packages;
  const wanted = { ...asked.dependencies, ...asked.devDependencies };
  const noted = { ...root?.dependencies, ...root?.devDependencies };
  return [
    ...Object.entries(wanted).flatMap(([name, version]) => [
      ...(EXACT.test(version)
        ? []
        : [`package.json: ${name} is "${version}": name one version, npm install --save-exact ${name}`]),
      ...(noted[name] === version
        ? []
        : [`package-lock.json: ${name} is not the one of package.json: run npm install`]),
    ]),
    ...Object.entries(packages).flatMap(([place, found]) =>
      packageProblems(found, RUN_AT_INSTALL.has(place)).map((what) => `package-lock.json: ${place} ${what}`),
    ),
  ];
}

type Locked = Lockfile['packages'][string];

function packageProblems(
  { version, integrity, resolved, link, hasInstallScript }: Locked,
  mayRun: boolean,
): string[] {
  if (link) return ['is a folder of this machine: take it from the registry'];
  const problems: string[] = [];
  if (!EXACT.test(version ?? '')) problems.push(`has the version "${version}": take a release`);
  if (!integrity?.startsWith('sha512-'))
    problems.push('has no SHA-512: remove it from the lockfile and run npm install');
  if (resolved !== undefined && !resolved.startsWith(REGISTRY)) {
    problems.push(`comes from ${resolved}: take it from ${REGISTRY}`);
  }
  if (hasInstallScript && !mayRun) {
    problems.push(
      'runs code when it is installed: read that code, then name it in deploy/lockfile-problems.ts',
    );
  }
  return problems;
}
