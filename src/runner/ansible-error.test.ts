import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FirstError } from './ansible-error.ts';

function find(...lines: string[]): string | undefined {
  const error = new FirstError();
  for (const line of lines) error.take(line);
  return error.text;
}

test('the first error is found, and no warning is taken for one', () => {
  assert.equal(find('[WARNING]: odd', '[ERROR]: wrong', 'more', '[ERROR]: worse'), 'wrong');
  assert.equal(find('ok: [web1]', ' [ERROR]: quoted'), undefined);
});

test('an error that announces a list has the first entry of it', () => {
  assert.equal(
    find('[ERROR]: Not satisfied:', '* a.b:9.0.0 (direct request)', '* c'),
    'Not satisfied: * a.b:9.0.0 (direct request)',
  );
});

test('the cause of a missing role is told by a warning', () => {
  const lines = [
    '[WARNING]: - x was NOT installed successfully: no such tag',
    '[ERROR]: - you can use --ignore-errors',
  ];
  assert.equal(find(...lines), '- x was NOT installed successfully: no such tag');
});
