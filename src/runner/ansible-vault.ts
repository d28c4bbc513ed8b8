import { createDecipheriv, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

// Ansible hides nothing of what it has decrypted, unless a task has no_log. So what the project has encrypted is opened
// here too, to be hidden in the log and in the report. The format is that of
// https://docs.ansible.com/ansible/latest/vault_guide/vault_using_encrypted_content.html#format-of-files-encrypted-with-ansible-vault

/** What Vault has encrypted: a whole file, or a value in YAML, which is indented. */
const ENCRYPTED = /^[ \t]*\$ANSIBLE_VAULT;1\.[12];AES256.*\n((?:[ \t]*[0-9a-f]+[ \t]*(?:\n|$))+)/gm;
const ROUNDS = 10_000;
const LARGEST_FILE = 2 ** 20;
/** Shorter ones may be words of any log. */
const SHORTEST = 6;
/** A line of YAML: of a key or an entry of a list, or of a longer text. */
const LINE = /^\s*(?:- +)*(?:[^\s:#'"][^:]*:(?: +|$))?(.*?)\s*$/;
const COMMENT = /^\s*(#|---)/;

/**
 * The values that files of a project hold encrypted, as far as the password opens them.
 *
 * @param folder of the project
 */
export async function vaultedValues(folder: string, password: string): Promise<string[]> {
  const texts = (await encryptedTexts(folder)).map((hex) => opened(hex, password.trim()));
  return texts.flatMap((text) => (text === undefined ? [] : valuesIn(text)));
}

async function encryptedTexts(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts: string[] = [];
  for (const entry of entries) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || file.includes('/.git/') || (await stat(file)).size > LARGEST_FILE) continue;
    const text = (await readFile(file, 'utf8')).replaceAll('\r\n', '\n');
    for (const [, lines = ''] of text.matchAll(ENCRYPTED)) texts.push(lines.replaceAll(/\s/g, ''));
  }
  return texts;
}

/** Nothing, where the password is another one or the text is no longer whole. */
function opened(hex: string, password: string): string | undefined {
  const parts = Buffer.from(hex, 'hex').toString('latin1').split('\n');
  const [salt, signature, encrypted] = parts.map((part) => Buffer.from(part, 'hex'));
  if (!salt || !signature || !encrypted) return undefined;
  const derived = pbkdf2Sync(password, salt, ROUNDS, 80, 'sha256');
  const expected = createHmac('sha256', derived.subarray(32, 64)).update(encrypted).digest();
  if (expected.length !== signature.length || !timingSafeEqual(expected, signature)) return undefined;
  const cipher = createDecipheriv('aes-256-ctr', derived.subarray(0, 32), derived.subarray(64));
  const padded = Buffer.concat([cipher.update(encrypted), cipher.final()]);
  return padded.subarray(0, padded.length - (padded.at(-1) ?? 0)).toString('utf8');
}

/** Of one line, all of it; of several, the value of each, for names of variables are no secrets. */
function valuesIn(text: string): string[] {
  const lines = text.trim().split('\n');
  const values = lines
    .filter((line) => !COMMENT.test(line))
    .map((line) => unquoted(LINE.exec(line)?.[1] ?? ''));
  const whole = lines.length === 1 ? [text.trim()] : [];
  return [...new Set([...whole, ...values])].filter((value) => value.length >= SHORTEST);
}

function unquoted(value: string): string {
  if (/^'.*'$/.test(value)) return value.slice(1, -1).replaceAll("''", "'");
  if (!/^".*"$/.test(value)) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    // Escaped as YAML does and JSON does not.
    return value.slice(1, -1);
  }
}
