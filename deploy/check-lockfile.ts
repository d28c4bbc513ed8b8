/** Fails unless package-lock.json pins every package by version and content: `node deploy/check-lockfile.ts`. */
import { readFile } from 'node:fs/promises';
import { lockfileProblems, packageJson } from './lockfile-problems.ts';
import { lockfile } from './sbom/npm-packages.ts';

const read = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'));
const problems = lockfileProblems(
  packageJson.parse(await read('package.json')),
  lockfile.parse(await read('package-lock.json')),
);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
