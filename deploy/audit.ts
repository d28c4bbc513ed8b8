/**
 * Asks the registry for advisories about the packages of package-lock.json, and fails when there is one:
 * `node deploy/audit.ts [--registry URL]`. Where the registry knows nothing of audits, it says so and does not fail.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { readAudit } from './audit-report.ts';

const LIMIT_MS = 60_000;

const { registry } = parseArgs({ options: { registry: { type: 'string' } } }).values;
const args = ['audit', '--json', '--package-lock-only', '--fetch-retries=0'];
const npm = spawn('npm', registry === undefined ? args : [...args, `--registry=${registry}`], {
  cwd: path.resolve(import.meta.dirname, '..'),
  stdio: ['ignore', 'pipe', 'ignore'],
  timeout: LIMIT_MS,
});
const audit = readAudit(await text(npm.stdout));
switch (audit.outcome) {
  case 'Clean':
    console.log(`audited: no advisory about any of ${audit.packages} packages`);
    break;
  case 'NotAudited':
    console.log(`not audited: ${audit.why}`);
    break;
  case 'Advisories':
    for (const line of audit.lines) console.error(line);
    console.error('Take a version without these, or do without the package.');
    process.exitCode = 1;
    break;
  case 'Broken':
    console.error(`The audit failed: ${audit.why}`);
    process.exitCode = 1;
    break;
  default:
    audit satisfies never;
}
