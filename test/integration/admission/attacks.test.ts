import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ATTACKS } from './attacks.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import { createWrongClock, type WrongClock } from '../../kit/wrong-clock.ts';
import { openScene, type Replica, type Scene } from './scene.ts';
import { type AdmissionSite, bootAdmission } from './setup.ts';

const PAGE = path.resolve(import.meta.dirname, '../../../docs/attacks.md');

let site: AdmissionSite;
let scene: Scene;
const clocks: WrongClock[] = [];
const operators: OperatorProcess[] = [];

before(async () => {
  site = await bootAdmission('attacks', 19_543, { webhookCertificate: true });
  // The second finds the lease taken.
  const leader = await begin('one');
  await leader.operator.ready;
  const other = await begin('two', `--admission-client-ca-file=${site.webhooksAuthority}`);
  operators.push(leader.operator, other.operator);
  scene = await openScene(site, { leader, other });
});
after(async () => {
  await site[Symbol.asyncDispose]();
  for (const clock of clocks) await clock[Symbol.asyncDispose]();
});

async function begin(identity: string, ...flags: string[]): Promise<Replica> {
  const clock = await createWrongClock();
  clocks.push(clock);
  const operator = await site.startWith({ nodeFlags: [clock.flag] }, `--identity=${identity}`, ...flags);
  return { operator, clock };
}

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

test('each line that the operators logged is one of JSON, whatever attackers wrote', () => {
  const lines = operators.flatMap((operator) => operator.log().trimEnd().split('\n'));
  assert.ok(lines.some((line) => line.includes('refused')));
  for (const line of lines) assert.doesNotThrow(() => JSON.parse(line), line);
});

const HEAD = `# What comes of attacks on approvals

<!-- Written by test/integration/admission/attacks.test.ts: each was made on a cluster. -->

Each of these was tried on a cluster with the chart's webhooks, policy and roles, two replicas of the operator, of which one asks the API server for its certificate, and people with real rights. \`no\` is what the API server answers to whoever tries. [Security](security.md) says what protects what.
`;

/** Without what differs from time to time. */
function cell(outcome: string): string {
  return outcome
    .replaceAll(/\b(gate|pair|mine|two|brief|frozen|deploy)-[a-z0-9]{5}\b/g, '<run>')
    .replaceAll(
      /(?! )[\p{Cc}\p{Zl}\u202a-\u202e]/gu,
      (strange) => `\\u${strange.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;');
}
