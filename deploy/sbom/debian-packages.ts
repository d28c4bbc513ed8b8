import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Component } from './bill.ts';

/** Files of an image's root. */
const STATUS = 'var/lib/dpkg/status';
/** Where images without dpkg itself, such as distroless, keep a file for each package. */
const STATUS_FOLDER = 'var/lib/dpkg/status.d';
const LISTS = 'var/lib/dpkg/info';
/** Which Debian it is, in either place. */
const RELEASES = ['usr/lib/os-release', 'etc/os-release'];

interface DebianPackage {
  name: string;
  version: string;
  architecture: string;
}

/** The Debian packages that are installed in a root. @throws Error when nothing tells of any */
export async function debianPackages(root: string): Promise<Component[]> {
  const distribution = await distributionOf(root);
  return (await installed(root)).map((one) => componentOf(one, distribution));
}

/** The Debian packages of a root that files of these names come from. @throws Error when one is of none */
export async function debianPackagesWith(root: string, fileNames: readonly string[]): Promise<Component[]> {
  const owners = await Promise.all(fileNames.map((name) => ownerOf(root, name)));
  const all = await debianPackages(root);
  return all.filter(({ name }) => owners.includes(name));
}

async function ownerOf(root: string, fileName: string): Promise<string> {
  const folder = path.join(root, LISTS);
  for (const list of (await readdir(folder)).filter((name) => name.endsWith('.list'))) {
    const files = (await readFile(path.join(folder, list), 'utf8')).split('\n');
    if (files.some((file) => path.basename(file) === fileName)) return list.replace(/(:[^:]+)?\.list$/, '');
  }
  throw new Error(`no Debian package has the file ${fileName}: the bill of materials would not be whole`);
}

async function installed(root: string): Promise<DebianPackage[]> {
  const texts = await statusTexts(root);
  const packages = texts.flatMap((text) => text.split(/\n\n+/)).flatMap((text) => packageIn(text) ?? []);
  if (packages.length === 0) throw new Error(`${root} has no list of Debian packages`);
  return packages;
}

async function statusTexts(root: string): Promise<string[]> {
  const folder = path.join(root, STATUS_FOLDER);
  const parts = existsSync(folder) ? await readdir(folder) : [];
  const files = parts.filter((name) => !name.endsWith('.md5sums')).map((name) => path.join(folder, name));
  const whole = path.join(root, STATUS);
  if (existsSync(whole)) files.push(whole);
  return Promise.all(files.map((file) => readFile(file, 'utf8')));
}

/** A paragraph of dpkg's list; undefined for a package that was removed. */
function packageIn(paragraph: string): DebianPackage | undefined {
  const fields = new Map(
    [...paragraph.matchAll(/^([\w-]+): (.*)$/gm)].map(([, name, value]) => [name, value]),
  );
  const status = fields.get('Status') ?? 'install ok installed';
  const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map((field) =>
    fields.get(field),
  );
  if (!name || !version || !architecture || !status.endsWith(' installed')) return undefined;
  return { name, version, architecture };
}

/** Such as `debian-13`. */
async function distributionOf(root: string): Promise<string> {
  const places = RELEASES.map((place) => path.join(root, place));
  const text = await readFile(places.find((place) => existsSync(place)) ?? '', 'utf8');
  const [id, version] = ['ID', 'VERSION_ID'].map(
    (name) => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(text)?.[1],
  );
  return `${id}-${version}`;
}

function componentOf({ name, version, architecture }: DebianPackage, distribution: string): Component {
  const of = `arch=${architecture}&distro=${distribution}`;
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${of}`;
  return { type: 'library', 'bom-ref': purl, name, version, purl };
}
