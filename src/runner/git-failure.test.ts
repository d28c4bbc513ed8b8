import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gitFailure } from './git-failure.ts';

const unread =
  'fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights';

/** What git 2.39 to 2.47 and OpenSSH 9.2 to 10.0 wrote. */
const said: Record<string, [string, string]> = {
  'a name that is not known': [
    "fatal: unable to access 'https://none.invalid/a/': Could not resolve host: none.invalid",
    'SourceUnreachable',
  ],
  'nobody that listens': [
    "fatal: unable to access 'https://127.0.0.1:1/a/': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server",
    'SourceUnreachable',
  ],
  'nobody that listens, over ssh': [
    `ssh: connect to host 127.0.0.1 port 2298: Connection refused\n${unread}`,
    'SourceUnreachable',
  ],
  'a server in trouble': [
    "fatal: unable to access 'https://example.com/a/': The requested URL returned error: 503",
    'SourceUnreachable',
  ],
  'a certificate of an unknown CA': [
    "fatal: unable to access 'https://example.com/a/': server certificate verification failed. CAfile: none CRLfile: none",
    'SourceUntrusted',
  ],
  'a wrong password': [
    "remote: Invalid username or password.\nfatal: Authentication failed for 'https://example.com/a/'",
    'SourceDenied',
  ],
  'no password': [
    "fatal: could not read Username for 'https://example.com': terminal prompts disabled",
    'SourceDenied',
  ],
  'a wrong key': [`git@example.com: Permission denied (publickey).\n${unread}`, 'SourceDenied'],
  'what is no key': [
    `Load key "/tmp/key": error in libcrypto\ngit@example.com: Permission denied (publickey).\n${unread}`,
    'SourceDenied',
  ],
  'no repository': [
    "remote: Repository not found.\nfatal: repository 'https://example.com/a/' not found",
    'SourceNotFound',
  ],
  'no repository, over ssh': [
    `fatal: '/srv/none' does not appear to be a git repository\n${unread}`,
    'SourceNotFound',
  ],
  'an unknown host': [
    `No ED25519 host key is known for [127.0.0.1]:2299 and you have requested strict checking.\nHost key verification failed.\n${unread}`,
    'HostKeyUnknown',
  ],
  'a host with another key': [
    `@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key for example.com has changed and you have requested strict checking.\nHost key verification failed.\n${unread}`,
    'HostKeyUnknown',
  ],
  'another protocol': ["fatal: transport 'ext' not allowed", 'ProtocolRefused'],
  'anything else': ['fatal: early in the morning', 'SourceFailed'],
};

describe('what git says', () => {
  for (const [name, [stderr, reason]] of Object.entries(said)) {
    test(`of ${name} is ${reason}`, () => {
      const failure = gitFailure(stderr, { code: 128 });
      assert.equal(failure.reason, reason);
      assert.doesNotMatch(failure.message, /Please make sure/);
    });
  }

  test('is told, with what to do', () => {
    const { message } = gitFailure(said['what is no key']?.[0] ?? '', { code: 128 });
    assert.match(message, /^The server did not let us in\. Check the Secret .* git says: Load key/);
    assert.equal(gitFailure('', { signal: 'SIGKILL' }).message, 'git failed with signal SIGKILL: nothing');
  });
});
