import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Component } from './bill.ts';

/** Where Debian puts the packages of Python. */
const FOLDER = 'usr/lib/python3/dist-packages';

/**
 * The packages of Python in a root, by the names that advisories about them use. They are parts of Debian packages,
 * which are listed too.
 */
export async function pythonPackages(root: string): Promise<Component[]> {
  const folder = path.join(root, FOLDER);
  const names = existsSync(folder) ? await readdir(folder) : [];
  const found = await Promise.all(names.map((name) => packageIn(path.join(folder, name))));
  return found.flatMap((one) => one ?? []);
}

async function packageIn(place: string): Promise<Component | undefined> {
  const text = await metadataOf(place);
  const [name, version] = ['Name', 'Version'].map(
    (field) => new RegExp(`^${field}: (.*)$`, 'm').exec(text)?.[1],
  );
  if (!name || !version) return undefined;
  const purl = `pkg:pypi/${name.toLowerCase().replaceAll(/[-_.]+/g, '-')}@${encodeURIComponent(version)}`;
  return { type: 'library', 'bom-ref': purl, name, version, purl };
}

/** @see https://packaging.python.org/en/latest/specifications/recording-installed-packages/ */
async function metadataOf(place: string): Promise<string> {
  const files = place.endsWith('.dist-info')
    ? ['METADATA']
    : place.endsWith('.egg-info')
      ? ['', 'PKG-INFO']
      : [];
  for (const file of files) {
    const text = await readFile(path.join(place, file), 'utf8').catch(() => '');
    if (text !== '') return text;
  }
  return '';
}
