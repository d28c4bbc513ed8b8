import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliveryFindings } from './delivery-rules.ts';
import { drawn, row, runOf, workflowOf } from './fixtures.ts';
import { startReceiver } from './receiver.ts';

const post = (url: string, key: string) =>
  fetch(url, { method: 'POST', headers: key === '' ? {} : { 'idempotency-key': key } });

test('a key gets the same status however often it comes, and the next key the next one', async () => {
  await using receiver = await startReceiver();
  const url = `${receiver.url}/r/a?status=500,200&value=x`;
  const statuses: number[] = [];
  for (const key of ['one', 'one', 'two', 'three']) statuses.push((await post(url, key)).status);
  assert.deepEqual(statuses, [500, 500, 200, 200]);
  assert.deepEqual(await (await post(url, 'two')).json(), { value: 'x' });
  assert.deepEqual(
    [...(receiver.deliveries().get('/r/a')?.keys ?? [])],
    [
      ['one', 2],
      ['two', 2],
      ['three', 1],
    ],
  );
});

test('what arrived is judged by the attempts of the step', async () => {
  await using receiver = await startReceiver();
  const judge = (repeats: boolean, attempt: number) => {
    const run = runOf('Succeeded', [row(`a Succeeded Completed ${attempt}`)]);
    return deliveryFindings(workflowOf(drawn('a', { repeats })), run, receiver).map(({ verdict }) => verdict);
  };
  assert.deepEqual(judge(false, 1), ['Lost']);
  await post(`${receiver.url}/r/a`, 'one');
  assert.deepEqual(judge(false, 1), []);
  await post(`${receiver.url}/r/a`, 'one');
  assert.deepEqual(judge(true, 1), []);
  assert.deepEqual(judge(false, 1), ['Twice']);
  await post(`${receiver.url}/r/a`, 'two');
  assert.deepEqual(judge(true, 2), []);
  assert.deepEqual(judge(true, 1), ['Twice']);
  await post(`${receiver.url}/r/a`, '');
  assert.deepEqual(judge(true, 3), ['Twice']);
});
