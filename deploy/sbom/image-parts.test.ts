import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { billOf, generic } from './bill.ts';
import { debianPackages, debianPackagesWith } from './debian-packages.ts';
import { programsIn } from './programs.ts';
import { pythonPackages } from './python-packages.ts';

/** A root of an image with these files. */
async function rootWith(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(path.join(tmpdir(), 'sbom-'));
  t.after(() => rm(root, { recursive: true }));
  const all = { 'usr/lib/os-release': 'PRETTY_NAME="Debian"\nVERSION_ID="13"\nID=debian\n', ...files };
  for (const [name, text] of Object.entries(all)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), text, { mode: 0o755 });
  }
  return root;
}
const entry = (name: string, version: string, status = 'install ok installed') =>
  `Package: ${name}\nStatus: ${status}\nArchitecture: amd64\nVersion: ${version}\nDescription: x\n more of it\n`;
const purlsOf = (parts: { purl?: string }[]) => parts.map(({ purl }) => purl);

suite('the bill of an image', () => {
  test('lists the packages that dpkg has installed, and none that it has removed', async (t) => {
    const status = [entry('git', '1:2.47.3-0+deb13u1'), entry('gone', '1', 'deinstall ok config-files')].join(
      '\n',
    );
    const root = await rootWith(t, { 'var/lib/dpkg/status': status });
    assert.deepEqual(purlsOf(await debianPackages(root)), [
      'pkg:deb/debian/git@1%3A2.47.3-0%2Bdeb13u1?arch=amd64&distro=debian-13',
    ]);
  });

  test('lists the packages of an image without dpkg', async (t) => {
    const libc = 'Package: libc6\nVersion: 2.41-12\nArchitecture: amd64\n';
    const folder = 'var/lib/dpkg/status.d';
    const root = await rootWith(t, { [`${folder}/libc6`]: libc, [`${folder}/libc6.md5sums`]: 'x  y\n' });
    assert.deepEqual(purlsOf(await debianPackages(root)), [
      'pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13',
    ]);
  });

  test('is not made of a root that does not tell what is in it', async (t) => {
    await assert.rejects(debianPackages(await rootWith(t, {})), /has no list of Debian packages/);
  });

  test('lists the packages that copied libraries come from, and is not made where one comes from none', async (t) => {
    const root = await rootWith(t, {
      'var/lib/dpkg/status': [entry('libstdc++6', '14.2.0'), entry('other', '1')].join('\n'),
      'var/lib/dpkg/info/libstdc++6:amd64.list': '/.\n/usr/lib/x/libstdc++.so.6\n',
    });
    assert.deepEqual(purlsOf(await debianPackagesWith(root, ['libstdc++.so.6'])), [
      'pkg:deb/debian/libstdc%2B%2B6@14.2.0?arch=amd64&distro=debian-13',
    ]);
    await assert.rejects(
      debianPackagesWith(root, ['libevil.so']),
      /no Debian package has the file libevil\.so/,
    );
  });

  test('lists the packages of Python in both forms', async (t) => {
    const folder = 'usr/lib/python3/dist-packages';
    const root = await rootWith(t, {
      [`${folder}/ansible_core-2.19.1.dist-info/METADATA`]:
        'Metadata-Version: 2.1\nName: ansible-core\nVersion: 2.19.1\n\nName: no\n',
      [`${folder}/PyYAML-6.0.egg-info/PKG-INFO`]: 'Name: PyYAML\nVersion: 6.0\n',
      [`${folder}/old_one-1.egg-info`]: 'Name: old_one\nVersion: 1\n',
      [`${folder}/yaml/__init__.py`]: '',
    });
    assert.deepEqual(
      new Set(purlsOf(await pythonPackages(root))),
      new Set(['pkg:pypi/ansible-core@2.19.1', 'pkg:pypi/old-one@1', 'pkg:pypi/pyyaml@6.0']),
    );
  });

  test('lists programs by what they say of themselves, and is not made with one that nobody knows', async (t) => {
    const root = await rootWith(t, {
      'bin/tofu': '#!/bin/sh\necho \'{"terraform_version": "1.12.6"}\'\n',
      'bin/kubectl': '#!/bin/sh\necho \'{"clientVersion": {"gitVersion": "v1.34.4"}}\'\n',
    });
    const folder = path.join(root, 'bin');
    assert.deepEqual(purlsOf(await programsIn(folder)), [
      'pkg:golang/k8s.io/kubectl@v1.34.4',
      'pkg:golang/github.com/opentofu/opentofu@v1.12.6',
    ]);
    await writeFile(path.join(folder, 'stranger'), '');
    await assert.rejects(programsIn(folder), /nobody knows how to ask stranger for its version/);
  });

  test('is the same for the same content, whatever the order, and names each part once', () => {
    const subject = { type: 'container', name: 'x', version: '1' } as const;
    const [a, b] = [generic('a', '1'), generic('b', '1')];
    assert.deepEqual(billOf(subject, [a, b, a]), billOf(subject, [b, a]));
    assert.equal(billOf(subject, [a, b, a]).components.length, 2);
    assert.notEqual(billOf(subject, [a]).serialNumber, billOf(subject, [b]).serialNumber);
  });
});
