import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ansibleDetails } from '../api/runner.ts';
import { ansibleOutcome, type Ended } from './ansible-outcome.ts';
import type { AnsibleRecord } from './ansible-record.ts';
import { createMask } from './mask.ts';

type Counts = Partial<NonNullable<AnsibleRecord['hosts']>[string]>;

const host = (counts: Counts) => ({
  ok: 0,
  changed: 0,
  unreachable: 0,
  failures: 0,
  skipped: 0,
  rescued: 0,
  ignored: 0,
  ...counts,
});

const recordOf = (
  hosts: Record<string, Counts> | null,
  parts: Partial<AnsibleRecord> = {},
): AnsibleRecord => ({
  hosts: hosts && Object.fromEntries(Object.entries(hosts).map(([name, counts]) => [name, host(counts)])),
  plays: 1,
  unmatched: 0,
  task: 'Install nginx',
  troubles: {},
  outputs: {},
  ...parts,
});

const end = (parts: Partial<Ended>) =>
  ansibleOutcome({
    exit: { code: 0 },
    record: undefined,
    error: undefined,
    mode: 'run',
    wasStopped: false,
    commit: 'c'.repeat(40),
    mask: createMask(['correct-horse-battery']),
    ...parts,
  });

suite('the outcome of an Ansible run', () => {
  test('has the recap of each host and all together, and what set_stats gave', () => {
    const record = recordOf(
      { b: { ok: 3, changed: 1 }, a: { ok: 6, changed: 3, skipped: 2 } },
      { outputs: { version: '1.2' } },
    );
    const { succeeded, report } = end({ record });
    assert.equal(succeeded, true);
    assert.equal(report.reason, 'Completed');
    assert.equal(report.summary, '2 hosts: 9 ok, 4 changed');
    assert.deepEqual(report.outputs, { version: '1.2' });
    assert.deepEqual(
      report.ansible?.hosts?.map(({ host, ok, changed }) => [host, ok, changed]),
      [
        ['a', 6, 3],
        ['b', 3, 1],
      ],
    );
    assert.equal(report.ansible?.recap.skipped, 2);
    assert.ok(ansibleDetails.safeParse(report.ansible).success);
  });

  test('says that nothing was changed in check mode', () => {
    assert.equal(
      end({ record: recordOf({ a: { ok: 1 } }), mode: 'check' }).report.summary,
      '1 host: 1 ok, 0 changed (check mode)',
    );
  });

  test('says that no task ran, where tags left none', () => {
    const { succeeded, report } = end({ record: recordOf({}) });
    assert.deepEqual([succeeded, report.summary], [true, 'no task ran']);
  });

  test('of failed hosts names the first ones, and what stopped the first', () => {
    const record = recordOf(
      { web1: { ok: 5, changed: 2, failures: 1 }, web2: { ok: 7 }, web3: { unreachable: 1 } },
      {
        troubles: {
          web2: { task: 'Rescued', message: 'no' },
          web1: { task: 'Install nginx', message: 'No package nginx' },
        },
      },
    );
    const { succeeded, report } = end({ record, exit: { code: 2 } });
    assert.equal(succeeded, false);
    assert.equal(report.reason, 'PlaybookFailed');
    assert.equal(report.summary, '3 hosts: 12 ok, 2 changed, 1 failed, 1 unreachable');
    assert.equal(
      report.message,
      'web1: ok=5 changed=2 unreachable=0 failed=1; web3: ok=0 changed=0 unreachable=1 failed=0. Task "Install nginx" on web1: No package nginx',
    );
    assert.deepEqual(
      report.ansible?.hosts?.map(({ host }) => host),
      ['web1', 'web3', 'web2'],
    );
  });

  test('is a failure when a host failed, even if Ansible ends with 0, and when it does not', () => {
    assert.equal(end({ record: recordOf({ a: { failures: 1 } }) }).succeeded, false);
    const { succeeded, report } = end({
      record: recordOf({ a: { ok: 1 } }),
      exit: { code: 1 },
      error: 'odd',
    });
    assert.equal(succeeded, false);
    assert.equal(report.message, 'Ansible ended with exit code 1. odd');
  });

  test('tells unknown host keys from hosts that do not answer', () => {
    const unreachable = (message: string) =>
      end({
        record: recordOf(
          { a: { unreachable: 1 } },
          { troubles: { a: { task: 'Gathering Facts', message } } },
        ),
        exit: { code: 4 },
      }).report.reason;
    assert.equal(
      unreachable('Failed to connect to the host via ssh: Host key verification failed.'),
      'HostKeyUnknown',
    );
    assert.equal(unreachable('Failed to connect to the host via ssh: Connection refused'), 'HostUnreachable');
  });

  test('is a failure when no host matched', () => {
    const empty = recordOf({}, { plays: 2, unmatched: 2, task: null });
    assert.equal(end({ record: empty }).report.reason, 'NoHosts');
    assert.equal(end({ record: empty }).succeeded, false);
    const limited = 'Specified inventory, host pattern and/or --limit leaves us with no hosts to target.';
    assert.equal(end({ exit: { code: 1 }, error: limited }).report.reason, 'NoHosts');
  });

  test('without statistics has the reason that Ansible prints', () => {
    const reason = (code: number, error?: string) => end({ exit: { code }, error }).report.reason;
    assert.equal(reason(4, "couldn't resolve module/action 'x'"), 'SyntaxError');
    assert.equal(reason(1, 'Completely failed to parse inventory source /x'), 'InventoryInvalid');
    assert.equal(reason(1, 'x: Attempting to decrypt but no vault secrets found.'), 'VaultDenied');
    assert.equal(reason(1, 'something'), 'PlaybookFailed');
    assert.equal(reason(0), 'PlaybookFailed');
    assert.equal(end({ exit: { code: 0 } }).succeeded, false);
    assert.equal(end({ exit: { code: 0 }, record: recordOf(null) }).succeeded, false);
  });

  test('finds a wrong vault password in a task too', () => {
    const message = 'Decryption failed (no vault secrets were found that could decrypt).';
    const record = recordOf({ a: { failures: 1 } }, { troubles: { a: { task: 't', message } } });
    assert.equal(end({ record, exit: { code: 2 } }).report.reason, 'VaultDenied');
  });

  test('of a stopped run says how far it came; one that ended well all the same has succeeded', () => {
    const stopped = { wasStopped: true, exit: { code: 99 } };
    const { succeeded, report } = end({ ...stopped, record: recordOf(null) });
    assert.equal(succeeded, false);
    assert.equal(report.reason, 'Interrupted');
    assert.match(report.message ?? '', /during the task "Install nginx"/);
    assert.match(end(stopped).report.message ?? '', /no host was changed/);
    assert.equal(end({ wasStopped: true, record: recordOf({ a: { ok: 1 } }) }).succeeded, true);
  });

  test('cuts no secret in two, of which nobody would then know the halves', () => {
    const secret = 'correct-horse-battery';
    for (let length = 90; length < 700; length += 5) {
      const message = `${'x'.repeat(length)}${secret}${'y'.repeat(700)}`;
      const trouble = { a: { task: message, message } };
      const failed = end({
        record: recordOf({ a: { failures: 1 } }, { troubles: trouble }),
        exit: { code: 2 },
      });
      const early = end({ exit: { code: 1 }, error: message });
      const stopped = end({
        wasStopped: true,
        exit: { code: 99 },
        record: recordOf(null, { task: message }),
      });
      for (const { report } of [failed, early, stopped]) assert.doesNotMatch(report.message ?? '', /x[cor]/);
    }
  });
});
