import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changesOf, countPlan, importsOf, planJson, sensitiveTexts } from './terraform-plan-json.ts';
import { summarizeApply, summarizePlan } from './terraform-summary.ts';

const resource = (address: string, actions: string[], more: object = {}, change: object = {}) => ({
  address,
  ...more,
  change: { actions, ...change },
});
const plan = (resources: object[], outputs: object = {}) =>
  planJson.parse({ resource_changes: resources, output_changes: outputs });

const mixed = plan(
  [
    resource('a.created', ['create']),
    resource('a.same', ['no-op']),
    resource('a.updated', ['update']),
    resource('a.deleted', ['delete']),
    resource('a.deposed', ['delete'], { deposed: 'c0ffee' }),
    resource('a.replaced', ['delete', 'create']),
    resource('a.replaced_before', ['create', 'delete']),
    resource('data.a.read', ['read']),
    resource('a.forgotten', ['forget']),
    resource('a.moved', ['no-op'], { previous_address: 'a.old' }),
    resource('a.moved_and_updated', ['update'], { previous_address: 'a.older' }),
    resource('a.imported', ['no-op'], {}, { importing: { id: 'x' } }),
    resource('a.imported_and_updated', ['update'], {}, { importing: {} }),
  ],
  { same: { actions: ['no-op'] }, new: { actions: ['create'] }, gone: { actions: ['delete'] } },
);

describe('a plan', () => {
  test('is counted as Terraform counts', () => {
    const { changes: _, ...counts } = countPlan(mixed);
    assert.deepEqual(counts, { add: 3, change: 3, destroy: 4, import: 2, replace: 2, outputs: 2 });
    assert.deepEqual(importsOf(mixed), ['a.imported', 'a.imported_and_updated']);
  });

  test('lists what nobody should overlook first', () => {
    assert.deepEqual(
      changesOf(mixed).map(({ address, action }) => `${action} ${address}`),
      [
        'replace a.replaced',
        'replace a.replaced_before',
        'delete a.deleted',
        'delete a.deposed',
        'update a.updated',
        'update a.moved_and_updated',
        'update a.imported_and_updated',
        'create a.created',
        'import a.imported',
        'forget a.forgotten',
        'move a.moved',
        'read data.a.read',
      ],
    );
  });

  test('is summed up in a line', () => {
    const summary = (resources: object[], outputs = {}) => {
      const details = countPlan(plan(resources, outputs));
      return [summarizePlan(details), summarizeApply(details)];
    };
    const two = { a: { actions: ['update'] }, b: { actions: ['create'] } };
    assert.deepEqual(
      [summarizePlan(countPlan(mixed)), summarizeApply(countPlan(mixed))],
      [
        '3 to add, 3 to change, 4 to destroy (2 replaced), 2 to import, 1 to move, 1 to forget',
        '3 added, 3 changed, 4 destroyed (2 replaced), 2 imported, 1 moved, 1 forgotten',
      ],
    );
    assert.deepEqual(summary([]), ['No changes', '0 added, 0 changed, 0 destroyed']);
    assert.deepEqual(summary([resource('data.a.b', ['read'])])[0], 'No changes');
    assert.deepEqual(summary([], two), [
      'No changes to resources, 2 outputs to change',
      'No changes to resources, 2 outputs changed',
    ]);
    assert.deepEqual(summary([resource('a.b', ['create'])], two), [
      '1 to add, 0 to change, 0 to destroy',
      '1 added, 0 changed, 0 destroyed',
    ]);
    assert.equal(
      summary([resource('a.b', ['forget'])])[0],
      '0 to add, 0 to change, 0 to destroy, 1 to forget',
    );
  });

  test('says which texts are sensitive', () => {
    const secrets = sensitiveTexts(
      planJson.parse({
        variables: { password: { value: 'of-variable' }, open: { value: 'open' } },
        configuration: { root_module: { variables: { password: { sensitive: true }, open: {} } } },
        resource_changes: [
          resource(
            'a.b',
            ['update'],
            {},
            {
              before: { list: [{ key: 'before', name: 'open' }], all: { a: 'deep', b: [1, 'deeper'] } },
              before_sensitive: { list: [{ key: true }], all: true },
              after: { list: [{ key: 'after' }] },
              after_sensitive: { list: [{}] },
            },
          ),
        ],
        output_changes: {
          o: { actions: ['create'], before: null, after: 'of-output', after_sensitive: true },
        },
      }),
    );
    assert.deepEqual([...secrets], ['of-variable', 'before', 'deep', 'deeper', 'of-output']);
  });
});
