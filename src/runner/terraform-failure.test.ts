import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsInText, terraformFailure } from './terraform-failure.ts';

const context = { reason: 'PlanFailed', fallback: 'it ended', holder: undefined };
const error = (summary: string, detail = '', more: object = {}) => ({
  severity: 'error',
  summary,
  detail,
  ...more,
});

const lockDetail = `Error message: HTTP remote state already locked: ID=f00
Lock Info:
  ID:        f00
  Path:      
  Operation: OperationTypeApply
  Who:       jane@laptop
  Version:   1.13.3
  Created:   2026-01-02 03:04:05.6 +0000 UTC
  Info:      

Terraform acquires a state lock to protect the state.`;

describe('a failure of Terraform', () => {
  test('is its first error, in a line', () => {
    const errors = [error('Invalid value', 'It is\n  wrong.', { address: 'a.b' }), error('Another')];
    const failure = terraformFailure(errors, context);
    assert.deepEqual([failure.reason, failure.message], ['PlanFailed', 'a.b: Invalid value: It is wrong.']);
    assert.equal(terraformFailure([], context).message, 'it ended');
  });

  const reasons: Record<string, [string, string]> = {
    'Failed to query available provider packages': ['Could not retrieve the list', 'ProviderUnavailable'],
    'Failed to install provider': ['Error while installing', 'ProviderUnavailable'],
    'Failed to resolve provider packages': ['Could not resolve', 'ProviderUnavailable'],
    'Failed to download module': ['Could not download module', 'ModuleUnavailable'],
    'Saved plan is stale': ['The given plan file can no longer be applied', 'PlanStale'],
    'Unsupported Terraform Core version': ['This configuration does not support', 'VersionUnsupported'],
    'Unsupported OpenTofu Core version': ['This configuration does not support', 'VersionUnsupported'],
    'Provider dependency changes detected': ['Changes to the required provider', 'LockFileChanged'],
  };
  for (const [summary, [detail, reason]] of Object.entries(reasons)) {
    test(`"${summary}" is ${reason}`, () => {
      assert.equal(terraformFailure([error(summary, detail)], context).reason, reason);
    });
  }

  test('to get the lock says who has it, as the operator knows it or as Terraform does', () => {
    const locked = [error('Error acquiring the state lock', lockDetail)];
    const own = terraformFailure(locked, context);
    assert.equal(own.reason, 'StateLocked');
    assert.match(
      own.message,
      /^The state is locked by jane@laptop for OperationTypeApply since 2026-01-02 .*\(lock f00\)\./,
    );
    const holder = { ID: 'b4r', Who: 'signalbox@pod-1', Info: 'held by pod pod-1 of run deploy-1' };
    const told = terraformFailure(locked, { ...context, holder });
    assert.match(
      told.message,
      /^The state is locked by signalbox@pod-1 \(lock b4r, held by pod pod-1 of run deploy-1\)\./,
    );
    const unsaid = terraformFailure([error('Error acquiring the state lock', 'no details')], context);
    assert.deepEqual(
      [unsaid.reason, unsaid.message],
      ['StateLocked', 'Error acquiring the state lock: no details'],
    );
  });

  test('is found in what is written for people, framed or not', () => {
    const framed = '╷\n│ Error: First\n│ \n│ of two\n╵\n╷\n│ Warning: Not this\n╵\n╷\n│ Error: Second\n╵\n';
    const plain = '\nError: First\n\nof two\n\nWarning: Not this\n\nError: Second\n';
    for (const text of [framed, plain]) {
      assert.deepEqual(
        errorsInText(text).map(({ summary, detail }) => [summary, detail]),
        [
          ['First', 'of two'],
          ['Second', ''],
        ],
      );
    }
  });
});
