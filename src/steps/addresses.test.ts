import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAddressRules } from './addresses.ts';

const standard = createAddressRules({ allow: [], deny: [] });

describe('without a policy', () => {
  const refused: Record<string, string[]> = {
    'a loopback address': ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1'],
    'an unspecified address': ['0.0.0.0', '0.1.2.3', '::', '::ffff:0.0.0.0'],
    'a link-local address': ['169.254.1.1', 'fe80::1', 'fe80::1%eth0', '::ffff:169.254.1.1'],
    'a metadata address of a cloud': ['169.254.169.254', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254'],
    'a multicast address': ['224.0.0.1', '239.255.255.255', 'ff02::1'],
    'a broadcast or reserved address': ['255.255.255.255', '240.0.0.1'],
    'an address of a tunnel': ['2001:0:4136:e378:8000:63bf:3fff:fdd2', '64:ff9b:1::7f00:1'],
  };
  for (const [kind, addresses] of Object.entries(refused)) {
    test(`refuses ${kind}`, () => {
      for (const address of addresses)
        assert.equal(standard.refusal('a.example.com', address), kind, address);
    });
  }

  test('refuses what stands for a refused IPv4 address, in every form of IPv6', () => {
    const forms = ['::ffff:169.254.169.254', '::169.254.169.254', '::ffff:0:169.254.169.254'];
    forms.push('64:ff9b::169.254.169.254', '2002:a9fe:a9fe::1', '0:0:0:0:0:ffff:a9fe:a9fe');
    for (const form of forms) {
      assert.equal(standard.refusal('a.example.com', form), 'a metadata address of a cloud', form);
    }
  });

  test('refuses what is no address', () => {
    for (const address of ['', 'localhost', '127.1', '[::1]']) {
      assert.equal(standard.refusal('a.example.com', address), 'no address that could be checked', address);
    }
  });

  test('lets everything else pass, the networks of a company too', () => {
    const addresses = [
      '8.8.8.8',
      '10.1.2.3',
      '172.16.0.1',
      '192.168.1.1',
      '100.64.0.1',
      '1.0.0.0',
      '223.255.255.255',
    ];
    addresses.push(
      '2606:4700::1111',
      'fd12:3456::1',
      '::ffff:8.8.8.8',
      '64:ff9b::8.8.8.8',
      '2002:808:808::1',
    );
    for (const address of addresses)
      assert.equal(standard.refusal('a.example.com', address), undefined, address);
  });
});

describe('a policy', () => {
  const rules = createAddressRules({
    allow: ['10.96.0.10', '10.1.0.0/16', 'fd00:1::/64', 'Vault.Example.com', 'bücher.example.com', '::1'],
    deny: ['10.0.0.0/8', 'fd00::/8'],
  });
  const denied = 'an address that the administrator denies';

  test('denies networks, in every form', () => {
    for (const address of ['10.96.0.1', '::ffff:10.96.0.1', '64:ff9b::a60:1', 'fd00:2::5']) {
      assert.equal(rules.refusal('a.example.com', address), denied, address);
    }
  });

  test('allows addresses and networks out of those that are refused or denied', () => {
    for (const address of ['10.96.0.10', '10.1.255.255', '::ffff:10.1.2.3', 'fd00:1::5', '::1']) {
      assert.equal(rules.refusal('a.example.com', address), undefined, address);
    }
  });

  test('allows whatever a host name means, for that name alone', () => {
    for (const host of ['vault.example.com', 'vault.example.com.', 'xn--bcher-kva.example.com']) {
      assert.equal(rules.refusal(host, '127.0.0.1'), undefined, host);
    }
    for (const host of ['example.com', 'a.vault.example.com', 'vault.example.com.example.org']) {
      assert.equal(rules.refusal(host, '127.0.0.1'), 'a loopback address', host);
    }
  });

  test('means by a network of IPv6 no address of IPv4', () => {
    const all = createAddressRules({ allow: ['::/0'], deny: [] });
    assert.equal(all.refusal('a.example.com', 'fe80::1'), undefined);
    assert.equal(all.refusal('a.example.com', '127.0.0.1'), 'a loopback address');
    assert.equal(all.refusal('a.example.com', '::ffff:127.0.0.1'), 'a loopback address');
  });

  test('is refused with an entry that means nothing, named in the message', () => {
    for (const entry of [
      '10.0.0.0/33',
      '::/129',
      '10.0.0',
      '*.example.com',
      'https://example.com',
      'a.example.com:80',
      '',
    ]) {
      assert.throws(() => createAddressRules({ allow: [entry], deny: [] }), {
        name: 'RangeError',
        message: new RegExp(`^"${entry.replace('*', '\\*')}" is neither`),
      });
    }
    assert.throws(() => createAddressRules({ allow: [], deny: ['example.com'] }), /"example.com" is neither/);
  });
});
