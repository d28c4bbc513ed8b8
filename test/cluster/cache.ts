import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** Everything that the local cluster keeps between starts lies here, outside of the repository. */
export const cacheRoot = path.join(
  process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'),
  'signalbox',
);

/** A short name for content: equal parts give an equal name. */
export function contentName(parts: Iterable<string | Buffer>): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex').slice(0, 16);
}

/** Paths and contents of all files under `folder` for which `keep` (given the path below `folder`) holds, sorted. */
export async function filesUnder(
  folder: string,
  keep: (relative: string, isFolder: boolean) => boolean = () => true,
): Promise<(string | Buffer)[]> {
  const parts: (string | Buffer)[] = [];
  const visit = async (relative: string): Promise<void> => {
    const entries = await readdir(path.join(folder, relative), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const below = path.join(relative, entry.name);
      if (!keep(below, entry.isDirectory())) continue;
      if (entry.isDirectory()) await visit(below);
      else if (entry.isFile()) parts.push(below, await readFile(path.join(folder, below)));
      else if (entry.isSymbolicLink()) parts.push(below, await readlink(path.join(folder, below)));
    }
  };
  await visit('');
  return parts;
}

/**
 * Gives the path `target`, made by `make` the first time. What is half made when the process ends is never taken for
 * whole: `make` fills a path beside it, which is then renamed.
 */
export async function makeOnce(target: string, make: (path: string) => Promise<void>): Promise<string> {
  if (existsSync(target)) return target;
  await mkdir(path.dirname(target), { recursive: true });
  const unfinished = path.join(path.dirname(target), `unfinished-${path.basename(target)}`);
  await rm(unfinished, { recursive: true, force: true });
  await make(unfinished);
  await rename(unfinished, target);
  return target;
}
