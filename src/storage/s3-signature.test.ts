import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signS3 } from './s3-signature.ts';

// The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const common = { region: 'us-east-1', now: new Date('2013-05-24T00:00:00Z') };
const at = (path: string) => new URL(`https://examplebucket.s3.amazonaws.com${path}`);
const nothing = Buffer.alloc(0);

const examples = [
  {
    what: 'a part of an object',
    request: { method: 'GET', url: at('/test.txt'), headers: { range: 'bytes=0-9' }, body: nothing },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    what: 'a new object',
    request: {
      method: 'PUT',
      url: at('/test%24file.text'),
      headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
      body: Buffer.from('Welcome to Amazon S3.'),
    },
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    what: 'a parameter without a value',
    request: { method: 'GET', url: at('/?lifecycle'), body: nothing },
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    what: 'a list',
    request: { method: 'GET', url: at('/?max-keys=2&prefix=J'), body: nothing },
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

for (const { what, request, signature } of examples) {
  test(`signs ${what} as the documentation does`, () => {
    const { authorization = '' } = signS3(credentials, { ...request, ...common });
    assert.equal(authorization.split('Signature=')[1], signature);
  });
}

test('a session token is sent and signed', () => {
  const headers = signS3(
    { ...credentials, sessionToken: 'token' },
    { method: 'GET', url: at('/'), body: nothing, ...common },
  );
  assert.equal(headers['x-amz-security-token'], 'token');
  assert.match(headers.authorization ?? '', /;x-amz-security-token,/);
});
