import assert from 'node:assert/strict';
import { test } from 'node:test';
import { childrenOf, type Expr, planCel } from './cel.ts';
import { parsedCel } from './parsed.ts';

function parsed(source: string): { expr: Expr; nodes: number } {
  const result = parsedCel(source);
  assert.ok('expr' in result, source);
  return result;
}

function freeze(expr: Expr): void {
  Object.freeze(expr);
  Object.freeze(expr.exprKind);
  Object.freeze(expr.exprKind.value);
  for (const child of childrenOf(expr)) freeze(child);
}

test('an expression is parsed once, and what it came to is not changed by who uses it', () => {
  const source = '[1, 2].map(x, x + 1).filter(x, x > two)';
  const { expr } = parsed(source);
  freeze(expr);
  assert.deepEqual(planCel(expr)({ two: 2 }), { value: [3] });
  assert.deepEqual(planCel(parsed(source).expr)({ two: 1 }), { value: [2, 3] });
  assert.equal(parsed(source).expr, expr);
});

test('a list that is too long is told of each time', () => {
  const source = 'long.map(x, x).size()';
  for (const _ of [1, 2]) {
    const result = planCel(parsed(source).expr)({ long: Array.from({ length: 257 }, () => 1) });
    assert.ok('error' in result && result.error.includes('too long to go through'));
  }
});

test('expressions that are not used give way to others, and those that are used stay', () => {
  const [used, unused] = [parsed('used + 1').expr, parsed('unused + 1').expr];
  for (let index = 0; index < 8_000; index++) {
    parsed(`a${index} + 1`);
    if (index % 100 === 0) parsed('used + 1');
  }
  assert.equal(parsed('used + 1').expr, used);
  assert.notEqual(parsed('unused + 1').expr, unused);
});

test('what is no expression is told each time', () => {
  for (const _ of [1, 2]) assert.ok('error' in parsedCel('1 +'));
});
