import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Values } from './expression.ts';
import type { Scope } from './references.ts';
import { compileTemplate, renderTemplate } from './template.ts';
import { ANY } from './type.ts';

const scope: Scope = {
  params: new Map(['region', 'count', 'absent', 'text'].map((name) => [name, ANY])),
  outputs: new Map(),
  before: new Set(['plan']),
  steps: new Set(['plan']),
  behind: new Set(),
  run: ['name'],
};

const valuesWith = (text: string): Values => ({
  params: { region: 'us', count: 3, text },
  trigger: { type: 'Manual' as const },
  run: { name: 'run-1', namespace: 'default', uid: 'uid-1' },
  workflow: { name: 'deploy' },
  step: () => ({ phase: 'Succeeded', summary: '', outputs: { zones: ['a', 'b'], none: null } }),
});

function render(text: string, value = ''): string {
  const compiled = compileTemplate(text, scope);
  if (!compiled.ok) assert.fail(compiled.problems.join('; '));
  const rendered = renderTemplate(compiled.template, valuesWith(value));
  return 'error' in rendered ? `ERROR ${rendered.error}` : rendered.text;
}

function problemsOf(text: string): string[] {
  const compiled = compileTemplate(text, scope);
  return compiled.ok ? [] : compiled.problems;
}

test('replaces each ${{ }} and leaves the rest', () => {
  assert.equal(render('plain'), 'plain');
  assert.equal(render('${{ params.region }}'), 'us');
  assert.equal(render('a-${{params.region}}-${{ params.count }}-z'), 'a-us-3-z');
  assert.equal(render('$HOME {{ x }} ${x} }}'), '$HOME {{ x }} ${x} }}');
});

test('texts go in as they are, numbers and booleans as text, lists and maps as JSON', () => {
  assert.equal(render('${{ "a b" }}'), 'a b');
  assert.equal(render('${{ 1 + 1 }} ${{ 2.5 }} ${{ true }}'), '2 2.5 true');
  assert.equal(render('${{ steps.plan.outputs.zones }}'), '["a","b"]');
  assert.equal(render('${{ {"a": {"b": 1}} }}'), '{"a":{"b":1}}');
});

test('null is an error, since nobody means the word', () => {
  assert.equal(
    render('${{ steps.plan.outputs.none }}'),
    'ERROR ${{ steps.plan.outputs.none }}: is null: write what to use instead, for example x == null ? "" : x',
  );
});

test('braces and quotes inside an expression do not end it', () => {
  assert.equal(render('${{ "}}" }}'), '}}');
  assert.equal(render("${{ '}}' + \"'\" }}"), "}}'");
  assert.equal(render('${{ "\\"}}" }}'), '"}}');
  assert.equal(render('${{ r"\\" + "}}" }}'), '\\}}');
  assert.equal(render('${{ """a"}}""" }}'), 'a"}}');
  assert.equal(render('${{ {"a": 1}.a }}'), '1');
  assert.equal(render('${{ "${{" }}'), '${{');
});

test('a mistake names the expression it is in', () => {
  assert.deepEqual(problemsOf('a ${{ params.x }} b ${{ 1 + }}'), [
    '${{ params.x }} reads params.x, which the workflow does not declare: add it to spec.params.',
    '${{ 1 + }} is not a CEL expression: found + but expecting end of input at column 3',
  ]);
  assert.deepEqual(problemsOf('a ${{ params.region'), ['has a ${{ without its }}: close it']);
  assert.deepEqual(problemsOf('a ${{ "params.region }}'), ['has a ${{ without its }}: close it']);
  assert.match(
    render('x ${{ params.absent }}'),
    /^ERROR \$\{\{ params\.absent \}\}: params\.absent is not there/,
  );
});

test('what a template comes to is bounded', () => {
  const long = 'x'.repeat(4096);
  assert.equal(render('${{ params.text }}'.repeat(16), long).length, 65_536);
  assert.equal(render('${{ params.text }}'.repeat(17), long), 'ERROR comes to more than 65536 characters');
});

test('a value is never read as a template or as an expression', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.constantFrom('${{ params.region }}', '"}} ${{', '$(X)', '$&')),
      (value) => {
        assert.equal(render('<${{ params.text }}>', value), `<${value}>`);
      },
    ),
    { numRuns: 300 },
  );
});

test('no text makes it throw', () => {
  const pieces = fc.array(
    fc.constantFrom('${{', '}}', '"', "'", '"""', 'r"', '\\', '{', '}', 'params.region', 'x'),
  );
  fc.assert(
    fc.property(pieces, (parts) => {
      const compiled = compileTemplate(parts.join(''), scope);
      if (compiled.ok) renderTemplate(compiled.template, valuesWith(''));
    }),
    { numRuns: 2000 },
  );
});
