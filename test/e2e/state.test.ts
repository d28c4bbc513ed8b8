import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, suite, test } from 'node:test';
import type { Cluster } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import { silent } from '../cluster/report.ts';
import { install, NAMESPACE } from '../demo/install.ts';

suite('states that the operator keeps, by its command', () => {
  // The namespace of a state is a name: nothing has to be there.
  const namespace = `state-${randomBytes(3).toString('hex')}`;
  let cluster: Cluster;
  before(async () => {
    cluster = await install({ name: 'e2e' }, silent);
  });

  const kubectl = (args: string[], input = '') =>
    run([cluster.kubectl, '--kubeconfig', cluster.kubeconfig, '-n', NAMESPACE, ...args], { input });
  const state = (line: string, input = '') =>
    kubectl(
      ['exec', '-i', 'deploy/signalbox', '--', 'node', '/app/main.js', 'state', ...line.split(' ')],
      input,
    );

  test('a person imports, lists and exports states in the container of the operator', async () => {
    const content = (serial: number) =>
      JSON.stringify({ version: 4, serial, lineage: 'l', text: randomBytes(2 ** 20).toString('hex') });
    const [first, second] = [content(1), content(2)];
    assert.match(
      await state(`import ${namespace} network`, first),
      /^imported serial 1 as state of workspace default/,
    );
    await assert.rejects(state(`import ${namespace} network`, second), /has a state already, with serial 1/);
    await state(`import ${namespace} network --force`, second);
    assert.equal(await state(`export ${namespace} network`), second);
    assert.equal(await state(`export ${namespace} network --version 1`), first);
    assert.match(await state('list'), new RegExp(`^${namespace} +network +default +2 +2 +\\S+ +-$`, 'm'));
  });

  test('the Secrets of a state tell nothing of it', async () => {
    const secret = `hunter-${randomBytes(8).toString('hex')}`;
    await state(`import ${namespace} secret`, JSON.stringify({ serial: 1, lineage: 'l', secret }));
    const secrets = await kubectl(['get', 'secrets', '-l', 'signalbox.dev/artifact', '-o', 'json']);
    const { items } = JSON.parse(secrets) as { items: { data: Record<string, string> }[] };
    const texts = items.flatMap(({ data }) =>
      Object.values(data).map((value) => Buffer.from(value, 'base64')),
    );
    assert.ok(texts.length > 1);
    assert.ok(!texts.some((text) => text.includes(secret)));
  });
});
