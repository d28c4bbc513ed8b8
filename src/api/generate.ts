/** Writes what is generated from the schemas; with --check, says what is stale and exits with 1. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { GROUP } from './common.ts';
import { customResourceDefinition } from './crd.ts';
import { reference } from './reference.ts';
import { type CustomResource, resources } from './resources.ts';

const root = join(import.meta.dirname, '..', '..');
const NOTE = '# Generated from src/api by node src/api/generate.ts: change the schemas there.\n';

/** Helm leaves an object with this annotation in place on uninstall, and with it every run on record. */
const KEEP = { annotations: { 'helm.sh/resource-policy': 'keep' } };

/** kubectl and Helm read YAML 1.1, in which `on` without quotes is true. */
const compat = 'yaml-1.1';
const yaml = (value: unknown) =>
  NOTE + stringify(value, { lineWidth: 110, compat, aliasDuplicateObjects: false });

/** Paths, from the root of the repository, and contents of all generated files. */
function generatedFiles(): Map<string, string> {
  const definitions = resources.flatMap((resource): [string, string][] => [
    [join('crds', fileName(resource)), yaml(customResourceDefinition(resource))],
    [join('charts/signalbox/files/crds', fileName(resource)), yaml(chartCopy(resource))],
  ]);
  return new Map([...definitions, ['docs/api.md', reference(resources)]]);
}

const fileName = ({ plural }: CustomResource) => `${GROUP}_${plural}.yaml`;

function chartCopy(resource: CustomResource) {
  const definition = customResourceDefinition(resource);
  return { ...definition, metadata: { ...definition.metadata, ...KEEP } };
}

async function isStale(path: string, content: string): Promise<boolean> {
  const found = await readFile(join(root, path), 'utf8').catch(() => undefined);
  return found !== content;
}

async function check(): Promise<void> {
  for (const [path, content] of generatedFiles()) {
    if (!(await isStale(path, content))) continue;
    console.error(`${path} is stale: run node src/api/generate.ts and commit what it writes`);
    process.exitCode = 1;
  }
}

async function write(): Promise<void> {
  for (const [path, content] of generatedFiles()) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { check: { type: 'boolean' } } });
  await (values.check ? check() : write());
}
