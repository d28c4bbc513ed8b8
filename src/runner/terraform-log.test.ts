import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Log } from './log.ts';
import { createMask } from './mask.ts';
import { TerraformLog } from './terraform-log.ts';
import { parseMessage } from './terraform-messages.ts';

function shown(messages: object[], secrets: string[] = []): string {
  let text = '';
  const mask = createMask(secrets);
  const log = new Log(
    mask,
    (more) => (text += more),
    () => 0,
  );
  const terraform = new TerraformLog(log, mask);
  for (const message of messages) terraform.show(parseMessage(JSON.stringify(message)));
  terraform.end();
  log.end();
  return text;
}

const printed = (addr: string, output: string) => ({
  '@message': `${addr}: (local-exec): ${output}`,
  type: 'provision_progress',
  hook: { resource: { addr }, provisioner: 'local-exec', output },
});

describe('messages of Terraform', () => {
  test('are shown as their text, without those that the plan or the report says', () => {
    const messages = [
      { '@message': 'a.b: Refreshing state...', type: 'refresh_start' },
      { '@message': 'a.b: Plan to create', type: 'planned_change' },
      { '@message': 'Outputs: 1', type: 'outputs', outputs: { a: { value: 'x' } } },
      {
        '@message': 'Plan: 1 to add',
        type: 'change_summary',
        changes: { add: 1, change: 0, remove: 0, operation: 'plan' },
      },
      {
        '@message': 'Apply complete!',
        type: 'change_summary',
        changes: { add: 1, change: 0, remove: 0, operation: 'apply' },
      },
    ];
    assert.equal(shown(messages), 'a.b: Refreshing state...\nApply complete!\n');
  });

  test('have diagnostics as people know them', () => {
    const diagnostic = {
      severity: 'error',
      summary: 'Invalid value',
      detail: 'It is wrong.\nVery.',
      address: 'a.b',
      range: { filename: 'main.tf', start: { line: 9 } },
      snippet: { context: 'resource "a" "b"', code: '  size = x' },
    };
    assert.equal(
      shown([{ '@message': 'Error: Invalid value', type: 'diagnostic', diagnostic }]),
      '\nError: Invalid value\n\n  with a.b,\n  on main.tf line 9, in resource "a" "b":\n     9:   size = x\n\nIt is wrong.\nVery.\n\n',
    );
  });

  test('of provisioners are put together before secrets are looked for', () => {
    const messages = [
      printed('a.one', 'it is sec'),
      printed('a.two', 'between'),
      printed('a.one', 'ret indeed'),
      {
        '@message': 'a.one: done',
        type: 'provision_complete',
        hook: { resource: { addr: 'a.one' }, provisioner: 'local-exec' },
      },
      printed('a.two', 'sec'),
    ];
    assert.equal(
      shown(messages, ['secret']),
      'a.two (local-exec): between\na.one (local-exec): it is ***\na.one (local-exec): *** indeed\na.one: done\na.two (local-exec): sec\n',
    );
  });

  test('that are none are shown as they are', () => {
    let text = '';
    const mask = createMask([]);
    const log = new Log(
      mask,
      (more) => (text += more),
      () => 0,
    );
    new TerraformLog(log, mask).show(parseMessage('panic: out of luck'));
    assert.equal(text, 'panic: out of luck\n');
  });
});
