/**
 * Writes the bill of materials of an image, while it is built:
 *
 *     node deploy/sbom/image.ts --name signalbox --version 1.2.3 [--bundle dist/main.cdx.json] [--base /] [--overlay FOLDER]
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Bill, billOf, type Component } from './bill.ts';
import { debianPackages, debianPackagesWith } from './debian-packages.ts';
import { programsIn } from './programs.ts';
import { pythonPackages } from './python-packages.ts';

const { values } = parseArgs({
  options: {
    name: { type: 'string' },
    version: { type: 'string' },
    /** The bill of our bundle in the image. */
    bundle: { type: 'string' },
    /** The root of the image, or of what it is based on. */
    base: { type: 'string', default: '/' },
    /** What is laid over that, where it was not built in the image itself. */
    overlay: { type: 'string' },
  },
});
const { name, version, bundle, base, overlay } = values;
if (!name || !version) throw new Error('--name and --version say what image it is');

const PROGRAMS = 'usr/local/bin';

/** Libraries that were copied over one by one, which no list of packages tells of. */
async function copiedLibraries(folder: string): Promise<Component[]> {
  const found = ['usr/lib', 'lib'].map((part) => path.join(folder, part)).filter((part) => existsSync(part));
  const files = await Promise.all(found.map((part) => readdir(part, { recursive: true })));
  const names = files
    .flat()
    .filter((file) => file.includes('.so'))
    .map((file) => path.basename(file));
  return debianPackagesWith('/', names);
}

async function ofBundle(file: string): Promise<Component[]> {
  const { components } = JSON.parse(await readFile(file, 'utf8')) as Bill;
  return components;
}

const parts = await Promise.all([
  debianPackages(base),
  pythonPackages(base),
  programsIn(path.join(overlay ?? base, PROGRAMS)),
  overlay === undefined ? [] : copiedLibraries(overlay),
  bundle === undefined ? [] : ofBundle(bundle),
]);
console.log(JSON.stringify(billOf({ type: 'container', name, version }, parts.flat()), undefined, 1));
