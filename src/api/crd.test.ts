import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as z from 'zod';
import { checks, scalar, time } from './common.ts';
import { customResourceDefinition, objectSchema, type Structural, structuralSchema } from './crd.ts';
import { resources } from './resources.ts';

/** All schemas below one, each with its path. */
function* walk(schema: Structural, path: string): Generator<[string, Structural]> {
  yield [path, schema];
  for (const [name, field] of Object.entries(schema.properties ?? {})) yield* walk(field, `${path}.${name}`);
  if (schema.items) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties) yield* walk(schema.additionalProperties, `${path}.*`);
}

const all = resources.flatMap((resource) => [...walk(objectSchema(resource), resource.kind)]);
const refused = (isBad: (schema: Structural, path: string) => boolean) =>
  all.filter(([path, schema]) => isBad(schema, path)).map(([path]) => path);

describe('every schema of the API', () => {
  test('has a description on each field', () => {
    const isField = (path: string) => !path.endsWith('[]') && !path.endsWith('.*');
    assert.deepEqual(
      refused(({ description = '' }, path) => isField(path) && !/^[A-Z].*\.$/s.test(description)),
      [],
    );
  });

  test('says its default in its description, where kubectl explain shows it', () => {
    assert.deepEqual(
      refused((schema) => schema.default !== undefined && !schema.description?.includes('Default')),
      [],
    );
  });

  test('has exactly one type, or leaves it to the writer', () => {
    const types = ({ type, ...schema }: Structural) => [
      type,
      schema['x-kubernetes-int-or-string'],
      schema['x-kubernetes-preserve-unknown-fields'],
    ];
    assert.deepEqual(
      refused((schema) => types(schema).filter(Boolean).length !== 1),
      [],
    );
  });

  test('is bounded wherever people write, so that checks have a bounded cost', () => {
    const isUnbounded = (schema: Structural) =>
      (schema.type === 'string' && schema.maxLength === undefined && !schema.enum) ||
      (schema.type === 'array' && schema.maxItems === undefined) ||
      (schema.additionalProperties !== undefined && schema.maxProperties === undefined);
    assert.deepEqual(
      refused((schema, path) => path.includes('.spec') && isUnbounded(schema)),
      [],
    );
  });

  test('names nothing of another namespace: no field is one, and no name has room for one', () => {
    const isAsked = (path: string) => path.includes('.spec');
    assert.deepEqual(
      refused((_, path) => isAsked(path) && /namespace/i.test(path.replace(/^.*\./, ''))),
      [],
    );
    const references = all.filter(
      ([path, { description = '' }]) =>
        isAsked(path) && /^Name of the [A-Z]\w+, in the same namespace\.$/.test(description),
    );
    assert.ok(references.length > 10);
    for (const [path, { pattern = '' }] of references) {
      const fits = new RegExp(pattern, 'u');
      assert.ok(fits.test('a-name.1'), path);
      for (const name of ['other/name', '../other', 'other:name', '..', '', 'a%2fb']) {
        assert.ok(!fits.test(name), `${path} may be ${name}`);
      }
    }
  });
});

describe('a structural schema', () => {
  test('keeps types, bounds, required fields and checks', () => {
    const schema = z.strictObject({
      name: z
        .string()
        .min(1)
        .max(9)
        .meta({ description: 'A name.', ...checks({ rule: 'true', message: 'm' }) }),
      count: z.int().min(1).optional(),
      tags: z.array(z.string().regex(/^a/)).max(3).optional().meta({ 'x-kubernetes-list-type': 'set' }),
      labels: z.record(z.string(), z.boolean()).optional().meta({ maxProperties: 2 }),
      mode: z.enum(['a', 'b']).default('a'),
    });
    assert.deepEqual(structuralSchema(schema), {
      type: 'object',
      required: ['name'],
      properties: {
        name: {
          description: 'A name.',
          type: 'string',
          minLength: 1,
          maxLength: 9,
          'x-kubernetes-validations': [{ rule: 'true', message: 'm' }],
        },
        count: { type: 'integer', minimum: 1 },
        tags: {
          type: 'array',
          maxItems: 3,
          items: { type: 'string', pattern: '^a' },
          'x-kubernetes-list-type': 'set',
        },
        labels: { type: 'object', maxProperties: 2, additionalProperties: { type: 'boolean' } },
        mode: { type: 'string', enum: ['a', 'b'], default: 'a' },
      },
    });
  });

  test('leaves the type of a scalar to the writer, and shuts out objects and lists', () => {
    const untyped = { 'x-kubernetes-preserve-unknown-fields': true };
    assert.deepEqual(structuralSchema(scalar), {
      ...untyped,
      maxLength: 4096,
      maxItems: 0,
      maxProperties: 0,
    });
    assert.deepEqual(structuralSchema(z.unknown()), untyped);
  });

  test('has a word of its own for integer or string', () => {
    const schema = z.union([z.string().max(8), z.int()]);
    assert.deepEqual(structuralSchema(schema), { maxLength: 8, 'x-kubernetes-int-or-string': true });
  });

  test('leaves times to the API server', () => {
    const expected = { description: 'When.', type: 'string', format: 'date-time' };
    assert.deepEqual(structuralSchema(time('When.')), expected);
  });

  test('is refused where it would check less than the schema', () => {
    assert.throws(() => structuralSchema(z.strictObject({ even: z.int().multipleOf(2) })), /multipleOf/);
  });
});

test('a CRD has the names, columns and status that kubectl works with', () => {
  const run = resources.find(({ kind }) => kind === 'WorkflowRun');
  assert.ok(run);
  const { metadata, spec } = customResourceDefinition(run);
  const [version] = spec.versions;
  assert.equal(metadata?.name, 'workflowruns.signalbox.dev');
  assert.deepEqual(spec.names, {
    kind: 'WorkflowRun',
    listKind: 'WorkflowRunList',
    plural: 'workflowruns',
    singular: 'workflowrun',
    shortNames: ['wfr'],
    categories: ['signalbox'],
  });
  assert.deepEqual(version?.subresources, { status: {} });
  assert.deepEqual(version?.additionalPrinterColumns?.at(-2), {
    name: 'Reason',
    type: 'string',
    jsonPath: '.status.reason',
    description: 'Why the run stands where it stands.',
    priority: 1,
  });
});
