import { createRequire } from 'node:module';
import path from 'node:path';
import * as z from 'zod';
import { cacheRoot, contentName, makeOnce } from '../cluster/cache.ts';
import { run } from '../cluster/command.ts';

/** CycloneDX' own library with its schemas, and what that needs to check JSON by them. */
const PACKAGES = [
  '@cyclonedx/cyclonedx-library@10.3.0',
  'ajv@8.20.0',
  'ajv-formats@3.0.1',
  'ajv-formats-draft2019@1.6.1',
];
const LIMIT_MS = 5 * 60_000;

/** What the library has that is used here. */
const library = z.object({
  Validation: z.object({ JsonStrictValidator: z.custom<Validator>((value) => typeof value === 'function') }),
});
type Validator = new (version: '1.6') => { validate(text: string): Promise<unknown> };

/** What CycloneDX' own validator has against a bill of materials; `null` is nothing. */
export async function cycloneDxErrors(text: string): Promise<unknown> {
  const folder = path.join(cacheRoot, 'npm', `cyclonedx-${contentName(PACKAGES)}`);
  await makeOnce(folder, async (place) => {
    const options = ['--no-save', '--ignore-scripts', '--omit=optional', '--prefix', place];
    await run(['npm', 'install', ...options, ...PACKAGES], { limit: LIMIT_MS });
  });
  const load = createRequire(path.join(folder, 'node_modules', 'index.js'));
  const { Validation } = library.parse(load('@cyclonedx/cyclonedx-library'));
  return new Validation.JsonStrictValidator('1.6').validate(text);
}
