import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { vaultedValues } from './ansible-vault.ts';
import { vaultEncrypted } from './fake-ansible-vault.ts';

/** Both by ansible-vault of ansible-core 2.19, with the password sesame. */
const FILE = `$ANSIBLE_VAULT;1.1;AES256
66613162326337653335376365383064613337643332333761643866623865343837303262366337
3162313034393065613162663730386165623634373036330a326334373031666666643837666530
37333062383336363930623764373137383165616236613966383363633731323330313363356437
6130373130353832360a353039366537663635303231303532393731363030663066666233326137
63623463616136313435363261396133356166313334393535643062373966383836323165653861
3334356532356639643362623137373336616238346562633234
`;
const VALUE = `token: !vault |
          $ANSIBLE_VAULT;1.1;AES256
          33303139363837373238353530376462396361646663303935393363666564383733313833623035
          3632626233383035336139643932363532326164643965640a313962613330383739633031626565
          36623161333230643034306630326536643031363265313439383436616361376664393365313432
          3865336134393134640a363365613836666333316232336664633762643964396635326634303834
          3261
after: is open
`;

suite('what a project holds encrypted with Ansible Vault', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'vault-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (name: string, text: string) => {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  };

  test('is found in whole files and in values, as Ansible writes them', async () => {
    write('group_vars/web/secret.yml', FILE);
    write('site.yml', VALUE.replaceAll('\n', '\r\n'));
    write('.git/objects/copy', FILE);
    const values = await vaultedValues(folder, 'sesame\n');
    assert.deepEqual(values.sort(), ['from the vault', 'inline secret', 'qu"oted <&>']);
  });

  test('stays closed to another password, and where it is not whole', async () => {
    write('secret.yml', FILE);
    assert.deepEqual(await vaultedValues(folder, 'other'), []);
    write('secret.yml', FILE.slice(0, -20));
    assert.deepEqual(await vaultedValues(folder, 'sesame'), []);
    write('secret.yml', '$ANSIBLE_VAULT;1.1;AES256\n6\n');
    assert.deepEqual(await vaultedValues(folder, 'sesame'), []);
  });

  const texts: [text: string, values: string[]][] = [
    ['token-alone', ['token-alone']],
    ['a: one-secret\nb: "two\\nsecrets"\n', ['one-secret', 'two\nsecrets']],
    ["a: 'it''s a secret'\nb: x\n", ["it's a secret"]],
    ['# nothing secret\n---\nusers:\n  - name: abcdef\n    - listed-one\n', ['abcdef', 'listed-one']],
    ['key: |\n  first line of it\n  second: line\n', ['first line of it']],
    ['url: https://user:pass@host/\nlong:\n', ['https://user:pass@host/']],
  ];
  for (const [text, values] of texts) {
    test(`gives ${JSON.stringify(values)} of ${JSON.stringify(text)}`, async () => {
      write('secret.yml', vaultEncrypted(text, 'sesame'));
      assert.deepEqual(await vaultedValues(folder, 'sesame'), values);
    });
  }
});
