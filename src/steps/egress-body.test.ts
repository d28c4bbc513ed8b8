import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { createEgress } from './egress.ts';
import { errorOf, outgoing } from './fake-request.ts';
import { startFakeSite } from './fake-site.ts';

const allowed = { allow: ['127.0.0.1'], deny: [] };

describe('the body of a response', () => {
  const codings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };

  test('may be as long as the limit, and no longer', async () => {
    await using site = await startFakeSite(({ target }, response) =>
      response.end('x'.repeat(Number(target.slice(1)))),
    );
    const egress = createEgress(allowed);
    assert.equal((await egress.request(outgoing(`${site.url}/1000`))).body.length, 1000);
    const { reason, message } = await errorOf(egress, outgoing(`${site.url}/1001`));
    assert.equal(reason, 'ResponseTooLarge');
    assert.match(message, /longer than 1000 bytes/);
  });

  test('that never ends is broken off', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    await using site = await startFakeSite((_request, response) => {
      response.on('close', resolve);
      const more = () =>
        void (response.destroyed || response.write('x'.repeat(1000), () => setImmediate(more)));
      more();
    });
    assert.equal((await errorOf(createEgress(allowed), outgoing(site.url))).reason, 'ResponseTooLarge');
    await closed;
  });

  for (const [coding, encode] of Object.entries(codings)) {
    test(`is decoded from ${coding}, and limited as it is then`, async () => {
      await using site = await startFakeSite(({ target }, response) => {
        response.writeHead(200, { 'content-encoding': coding });
        response.end(target === '/broken' ? 'not coded' : encode('x'.repeat(Number(target.slice(1)))));
      });
      const egress = createEgress(allowed);
      assert.equal((await egress.request(outgoing(`${site.url}/1000`))).body.toString(), 'x'.repeat(1000));
      assert.equal((await errorOf(egress, outgoing(`${site.url}/900000`))).reason, 'ResponseTooLarge');
      assert.equal((await errorOf(egress, outgoing(`${site.url}/broken`))).reason, 'InvalidResponse');
    });
  }

  test('stays as it is when its coding is not known', async () => {
    await using site = await startFakeSite((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'toString' });
      response.end('as it is');
    });
    assert.equal((await createEgress(allowed).request(outgoing(site.url))).body.toString(), 'as it is');
  });
});
