import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createHands } from '../../kit/hands.ts';
import { inNamespace } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { page, runRows, workflowRows } from './control-table.ts';
import { bootControlPlane, type Site } from './setup.ts';

const PAGE = path.resolve(import.meta.dirname, '../../../docs/control-table.md');

suite('annotations', () => {
  let site: Site;
  let operator: OperatorProcess;

  before(async () => {
    site = await bootControlPlane('control');
    operator = startOperator(site.cluster, ['--identity=control']);
    await operator.ready;
  });
  after(async () => {
    await operator.stop();
    await site[Symbol.asyncDispose]();
  });

  /** With WRITE_PAGES=1 the page is written instead. */
  test('do in every state what docs/control-table.md says', async () => {
    const { namespace } = await inNamespace(site.cluster, 'table');
    await using hands = await createHands(site.cluster, namespace);
    const made = page(await runRows(hands), await workflowRows(hands));
    if (process.env['WRITE_PAGES']) await writeFile(PAGE, made);
    else assert.equal(made, await readFile(PAGE, 'utf8'));
  });
});
