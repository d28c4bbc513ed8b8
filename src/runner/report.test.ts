import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type RunnerReport, runnerReport } from '../api/runner.ts';
import { createMask } from './mask.ts';
import { fitReport, REPORT_LIMIT } from './report.ts';

const mask = createMask(['hunter2']);
const counts = { add: 300, change: 0, destroy: 0, import: 0, replace: 0, outputs: 0 };
const changes = (count: number, length: number) =>
  Array.from({ length: count }, (_, index) => ({
    address: `terraform_data.${'x'.repeat(length)}[${index}]`,
    action: 'create' as const,
  }));

function fit(report: RunnerReport) {
  const { text, droppedOutputs } = fitReport(report, mask);
  assert.ok(Buffer.byteLength(text) <= REPORT_LIMIT, `${Buffer.byteLength(text)} bytes`);
  return { report: runnerReport.parse(JSON.parse(text)), droppedOutputs };
}

describe('a report', () => {
  test('stays as it is when it fits, but for secrets', () => {
    const report = { reason: 'PlanFailed', message: 'no hunter2', outputs: { a: 'hunter2', b: [1, true] } };
    assert.deepEqual(fit(report), {
      report: { reason: 'PlanFailed', message: 'no ***', outputs: { a: '***', b: [1, true] } },
      droppedOutputs: [],
    });
  });

  test('shortens lists and counts what is not in them', () => {
    const { report } = fit({ reason: 'Completed', terraform: { ...counts, changes: changes(300, 20) } });
    assert.equal(report.terraform?.changes?.length, 20);
    assert.equal(report.terraform?.moreChanges, 280);
    const long = fit({ reason: 'Completed', terraform: { ...counts, changes: changes(300, 400) } });
    const kept = long.report.terraform?.changes?.length ?? 0;
    assert.ok(kept >= 5 && kept < 20, String(kept));
    assert.equal(long.report.terraform?.moreChanges, 300 - kept);
  });

  test('keeps outputs for the ends of lists, and drops the largest when they are too many', () => {
    const outputs = { small: 1, large: 'x'.repeat(3000), middle: 'y'.repeat(1000) };
    const fitted = fit({ reason: 'Completed', outputs, terraform: { ...counts, changes: changes(20, 200) } });
    assert.deepEqual(fitted.droppedOutputs, ['large']);
    assert.deepEqual(fitted.report.outputs, { small: 1, middle: 'y'.repeat(1000) });
    assert.ok((fitted.report.terraform?.changes?.length ?? 0) >= 5);
  });

  test('fits with messages of many bytes and signs', () => {
    const { report } = fit({
      reason: 'ApplyFailed',
      message: '💥"\n'.repeat(2000),
      summary: '💥'.repeat(300),
      terraform: { ...counts, changes: changes(20, 250) },
    });
    assert.ok((report.message?.length ?? 0) >= 200);
    assert.equal(report.message?.isWellFormed(), true);
    assert.equal(report.summary?.isWellFormed(), true);
  });

  test('of Ansible keeps the first hosts', () => {
    const recap = { ok: 1, changed: 0, unreachable: 0, failed: 0, skipped: 0, rescued: 0, ignored: 0 };
    const hosts = Array.from({ length: 90 }, (_, index) => ({ host: `web${index}.example.com`, ...recap }));
    const { report } = fit({ reason: 'PlaybookFailed', ansible: { hosts, recap } });
    const kept = report.ansible?.hosts ?? [];
    assert.equal(kept[0]?.host, 'web0.example.com');
    assert.equal(kept.length + (report.ansible?.moreHosts ?? 0), 90);
  });
});
