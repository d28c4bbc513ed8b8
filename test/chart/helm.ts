import path from 'node:path';
import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts';
import { parseAllDocuments } from 'yaml';
import { ensureBinaries } from '../cluster/binaries.ts';
import { run } from '../cluster/command.ts';
import { reportTo } from '../cluster/report.ts';

const root = path.resolve(import.meta.dirname, '../..');
export const chart = path.join(root, 'charts/signalbox');
export const crds = path.join(root, 'crds');
export const examples = path.join(root, 'deploy/examples');

/** Any object of Kubernetes. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** Values for a chart, as in a values file. */
export type Values = Readonly<Record<string, unknown>>;

const programs = await ensureBinaries(reportTo(process.stderr));

/** Runs helm on the chart as if for a cluster of this version; gives what it printed. */
export function helm(args: readonly string[], values: Values = {}, version = '1.34.4'): Promise<string> {
  const argv = [programs.helm, ...args, chart, '--kube-version', version, '--values', '-'];
  return run(argv, { input: JSON.stringify(values) });
}

/** What the chart makes of the values, as a release `demo` in the namespace `system`; keys, made at random, are left out. */
export async function render(values: Values = {}): Promise<Manifest[]> {
  const objects = parseManifests(await helm(['template', 'demo', '--namespace', 'system'], values));
  return objects.map((object) => (object.kind === 'Secret' ? { ...object, data: {} } : object));
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
}

/** The objects of one kind; the caller says of which type that is. */
export function ofKind<T = Manifest>(objects: readonly Manifest[], kind: string): T[] {
  return objects.filter((object) => object.kind === kind) as T[];
}
