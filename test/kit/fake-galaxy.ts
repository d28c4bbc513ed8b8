import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import path from 'node:path';

// A fake of a Galaxy server that speaks its v3 protocol for collections, as far as ansible-galaxy installs by it:
// https://docs.ansible.com/projects/galaxy-ng/en/latest/dev/api/. It imports nothing of ours: a pod runs this file alone.

interface Artifact {
  namespace: string;
  name: string;
  version: string;
  file: string;
}

/** Serves the collections of a folder, as `ansible-galaxy collection build` names them. */
export function fakeGalaxy(folder: string, seen: string[] = []): Server {
  return createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const origin = `http://${request.headers.host}`;
    seen.push(`${request.method} ${pathname}`);
    const file = /^\/download\/([^/]+\.tar\.gz)$/.exec(pathname)?.[1];
    if (file !== undefined) return response.end(readFileSync(path.join(folder, path.basename(file))));
    const answer = answerTo(pathname, { folder, origin });
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    return response.end(JSON.stringify(answer ?? { errors: [{ status: '404', title: 'Not found.' }] }));
  });
}

function answerTo(pathname: string, { folder, origin }: { folder: string; origin: string }): unknown {
  if (pathname.replace(/\/$/, '') === '/api') return { available_versions: { v3: 'v3/' } };
  const [, namespace, name, rest] =
    /^\/api\/v3\/collections\/([^/]+)\/([^/]+)\/(?:versions\/(.*))?$/.exec(pathname) ?? [];
  const artifacts = artifactsIn(folder).filter(
    (artifact) => artifact.namespace === namespace && artifact.name === name,
  );
  if (artifacts.length === 0) return undefined;
  if (rest === undefined) return { namespace, name, updated_at: '2026-01-01T00:00:00Z', deprecated: false };
  if (rest === '') return listOf(artifacts);
  const artifact = artifacts.find(({ version }) => `${version}/` === rest);
  return artifact && detailsOf(artifact, { folder, origin });
}

function artifactsIn(folder: string): Artifact[] {
  return readdirSync(folder).flatMap((file) => {
    const [, namespace, name, version] = /^([a-z0-9_]+)-([a-z0-9_]+)-(.+)\.tar\.gz$/.exec(file) ?? [];
    if (namespace === undefined || name === undefined || version === undefined) return [];
    return [{ namespace, name, version, file }];
  });
}

const listOf = (artifacts: readonly Artifact[]) => ({
  meta: { count: artifacts.length },
  links: { first: null, previous: null, next: null, last: null },
  data: artifacts.map(({ version }) => ({ version })),
});

function detailsOf(
  { namespace, name, version, file }: Artifact,
  { folder, origin }: { folder: string; origin: string },
) {
  const content = readFileSync(path.join(folder, file));
  return {
    version,
    namespace: { name: namespace },
    collection: { name },
    artifact: {
      filename: file,
      sha256: createHash('sha256').update(content).digest('hex'),
      size: content.length,
    },
    download_url: `${origin}/download/${file}`,
    href: `/api/v3/collections/${namespace}/${name}/versions/${version}/`,
    metadata: { dependencies: {} },
    signatures: [],
  };
}

// As a program: node fake-galaxy.ts FOLDER PORT
if (import.meta.main) {
  const [folder = '.', port = '8080'] = process.argv.slice(2);
  fakeGalaxy(folder).listen(Number(port));
}
