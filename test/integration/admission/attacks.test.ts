import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ATTACKS } from './attacks.ts';
import { openScene, type Scene } from './scene.ts';
import { type AdmissionSite, bootAdmission } from './setup.ts';

const PAGE = path.resolve(import.meta.dirname, '../../../docs/attacks.md');

let site: AdmissionSite;
let scene: Scene;

before(async () => {
  site = await bootAdmission('attacks', 19_543, { webhookCertificate: true });
  await site.start('--identity=one');
  await site.start('--identity=two', `--admission-client-ca-file=${site.webhooksAuthority}`);
  scene = await openScene(site);
});
after(() => site[Symbol.asyncDispose]());

/** With WRITE_PAGES=1 the page is written instead. */
test('what becomes of each attack is what docs/attacks.md says', async () => {
  const parts: string[] = [];
  for (const [title, attacks] of Object.entries(ATTACKS)) {
    const rows: string[] = [];
    for (const attack of attacks) {
      const outcome = await attack.attempt(scene);
      rows.push(`| ${attack.title} | ${cell(outcome)} |`);
    }
    parts.push([`## ${title}`, '', '| attack | what comes of it |', '| --- | --- |', ...rows, ''].join('\n'));
  }
  const page = `${HEAD}\n${parts.join('\n')}`;
  if (process.env['WRITE_PAGES']) await writeFile(PAGE, page);
  else assert.equal(page, await readFile(PAGE, 'utf8'));
});

const HEAD = `# What comes of attacks on approvals

<!-- Written by test/integration/admission/attacks.test.ts: each was made on a cluster. -->

Each of these was tried on a cluster with the chart's webhooks, policy and roles, two replicas of the operator, of which one asks the API server for its certificate, and people with real rights. \`no\` is what the API server answers to whoever tries. [Security](security.md) says what protects what.
`;

/** Without what differs from time to time. */
function cell(outcome: string): string {
  return outcome
    .replaceAll(/\b(gate|pair|mine|two|frozen|deploy)-[a-z0-9]{5}\b/g, '<run>')
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;');
}
