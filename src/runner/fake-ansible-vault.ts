import { createCipheriv, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

const ROUNDS = 10_000;

/**
 * Encrypts a text as `ansible-vault encrypt` does, so that Ansible opens it: format 1.1 of
 * https://docs.ansible.com/ansible/latest/vault_guide/vault_using_encrypted_content.html#format-of-files-encrypted-with-ansible-vault
 */
export function vaultEncrypted(text: string, password: string): string {
  const salt = randomBytes(32);
  const derived = pbkdf2Sync(password, salt, ROUNDS, 80, 'sha256');
  const cipher = createCipheriv('aes-256-ctr', derived.subarray(0, 32), derived.subarray(64));
  const encrypted = Buffer.concat([cipher.update(padded(Buffer.from(text))), cipher.final()]);
  const signature = createHmac('sha256', derived.subarray(32, 64)).update(encrypted).digest('hex');
  const body = [salt.toString('hex'), signature, encrypted.toString('hex')].join('\n');
  const lines =
    Buffer.from(body)
      .toString('hex')
      .match(/.{1,80}/g) ?? [];
  return ['$ANSIBLE_VAULT;1.1;AES256', ...lines, ''].join('\n');
}

/** To whole blocks of 16 bytes, as PKCS #7 does. */
function padded(bytes: Buffer): Buffer {
  const missing = 16 - (bytes.length % 16);
  return Buffer.concat([bytes, Buffer.alloc(missing, missing)]);
}
