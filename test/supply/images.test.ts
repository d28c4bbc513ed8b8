import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { before, suite, test } from 'node:test';
import type { Bill } from '../../deploy/sbom/bill.ts';
import type { Image } from '../cluster/images.ts';
import { type Report, reportTo } from '../cluster/report.ts';
import { buildOperator, buildRunner, buildScript } from '../demo/install.ts';
import { startContainer, type UnpackedImage, unpack } from '../kit/container.ts';
import { cycloneDxErrors } from '../kit/cyclonedx.ts';

/** Where each image has its bill of materials. */
const PLACE = 'usr/share/signalbox/sbom.cdx.json';

/** What a program of the image says, as the user that the image is for. */
async function said(image: UnpackedImage, ...command: string[]): Promise<string> {
  const container = await startContainer(image, { command, env: {}, mounts: {} });
  if (!container.stdout || !container.stderr) throw new Error('the container has no output');
  const [out, errors] = await Promise.all([text(container.stdout), text(container.stderr)]);
  return `${out}${errors}`;
}

interface Expected {
  build: (report: Report) => Promise<Image>;
  /** Commands of the image, and the part of its bill whose version each shows. */
  programs: [part: string, ...command: string[]][];
  /** Parts beyond those. */
  parts: string[];
}

const git: Expected['programs'][number] = ['git', 'git', '--version'];
const ssh: Expected['programs'][number] = ['openssh-client', 'ssh', '-V'];
const images: Record<string, Expected> = {
  operator: {
    build: buildOperator,
    programs: [['node', '/usr/local/bin/node', '--version']],
    parts: ['undici', 'zod', 'libc6', 'libstdc++6'],
  },
  script: {
    build: buildScript,
    programs: [
      git,
      ssh,
      ['node', 'node', '--version'],
      ['bash', 'bash', '--version'],
      ['python3', 'python3', '--version'],
      ['curl', 'curl', '--version'],
      ['kubectl', 'kubectl', 'version', '--client'],
    ],
    parts: ['jq', 'openssl', 'ca-certificates'],
  },
  ansible: {
    build: (report) => buildRunner('ansible', report),
    programs: [
      git,
      ssh,
      ['node', '/usr/local/bin/node', '--version'],
      ['ansible-core', 'ansible', '--version'],
      ['Jinja2', 'python3', '-c', 'import jinja2; print(jinja2.__version__)'],
      ['PyYAML', 'python3', '-c', 'import yaml; print(yaml.__version__)'],
    ],
    parts: ['zod', 'python3-cryptography', 'cryptography'],
  },
  opentofu: {
    build: (report) => buildRunner('opentofu', report),
    programs: [git, ssh, ['node', '/usr/local/bin/node', '--version'], ['opentofu', 'tofu', 'version']],
    parts: ['zod'],
  },
  terraform: {
    build: (report) => buildRunner('terraform', report),
    programs: [git, ssh, ['terraform', 'terraform', 'version']],
    parts: ['zod'],
  },
};

/** The version of the program itself, without what Debian adds, and the patch level of OpenSSH. */
const upstream = (version: string) => version.replace(/^\d+:/, '').replace(/([-+~]|p\d).*$/, '');

for (const [name, { build, programs, parts }] of Object.entries(images)) {
  suite(`the image of ${name} says in ${PLACE} what it consists of`, () => {
    let image: UnpackedImage;
    let whole: string;
    let components: Bill['components'];

    before(async () => {
      image = await unpack(await build(reportTo(process.stderr)));
      whole = await readFile(path.join(image.root, PLACE), 'utf8');
      ({ components } = JSON.parse(whole) as Bill);
    });

    test(`the validator of CycloneDX accepts the bill of ${name}`, async () => {
      assert.equal(await cycloneDxErrors(whole), null);
    });

    test(`programs of ${name} are of the version that is listed`, async () => {
      for (const [part, ...command] of programs) {
        const versions = components
          .filter((one) => one.name === part)
          .map(({ version }) => upstream(version));
        assert.notDeepEqual(versions, [], part);
        const line = await said(image, ...command);
        const isShown = versions.some((version) => line.replaceAll('_', '.').includes(version));
        assert.ok(isShown, `${part} is listed as ${versions.join()}, and says ${line}`);
      }
      for (const part of parts)
        assert.ok(
          components.some((one) => one.name === part),
          part,
        );
    });

    test(`packages of Debian in ${name} are just those that dpkg knows`, async () => {
      const format = '${db:Status-Status} ${Package} ${Version} ${Architecture}\\n';
      const known = (await said(image, 'dpkg-query', '--show', `--showformat=${format}`)).split('\n');
      const installed = known.filter((line) => line.startsWith('installed ')).map((line) => line.slice(10));
      const listed = components.flatMap(({ name: of, version, purl = '' }) => {
        const architecture = /^pkg:deb\/.*arch=(\w+)/.exec(purl)?.[1];
        return architecture === undefined ? [] : [`${of} ${version} ${architecture}`];
      });
      assert.ok(installed.length > 50);
      const copied = listed.filter((line) => !installed.includes(line));
      assert.deepEqual(
        installed.filter((line) => !listed.includes(line)),
        [],
      );
      // The operator has libraries of Node copied to it, one by one.
      assert.deepEqual(
        copied.filter((line) => !/^lib(stdc\+\+6|gcc-s1|atomic1) /.test(line)),
        [],
      );
    });

    test(`the user of ${name} is not root, and nothing in it would make it that`, async () => {
      assert.equal(image.config.User, '65532:65532');
      // The base of the published operator has no programs at all; this one is on Debian.
      if (name === 'operator') return;
      const find = ['find', '/', '-xdev', '-type', 'f', '-perm', '/6000', '-print'];
      const marked = (await said(image, ...find)).split('\n').filter((line) => line.startsWith('/'));
      assert.deepEqual(marked, []);
    });
  });
}
