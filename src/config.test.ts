import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, readConfig } from './config.ts';

test('without anything given the defaults hold', () => {
  const config = readConfig([], {});
  assert.equal(config['http-port'], 8080);
  assert.equal(config.namespace, undefined);
});

test('no webhook configuration is kept unless it is named', () => {
  const nameOf = (env: Record<string, string>) => readConfig([], env)['admission-configuration'];
  assert.equal(nameOf({}), undefined);
  assert.equal(nameOf({ SIGNALBOX_ADMISSION_CONFIGURATION: '' }), undefined);
  assert.equal(nameOf({ SIGNALBOX_ADMISSION_CONFIGURATION: 'signalbox' }), 'signalbox');
});

test('a flag wins over the environment, and the pod is the identity', () => {
  const env = { SIGNALBOX_HTTP_PORT: '1', SIGNALBOX_LOG_LEVEL: 'warn', POD_NAME: 'operator-0' };
  const config = readConfig(['--http-port=2'], env);
  assert.equal(config['http-port'], 2);
  assert.equal(config['log-level'], 'warn');
  assert.equal(config.identity, 'operator-0');
});

test('a list is separated by commas', () => {
  const { 'http-allow': allow, 'http-deny': deny } = readConfig(
    ['--http-allow=10.0.0.0/8, a.example.com,'],
    {},
  );
  assert.deepEqual([allow, deny], [['10.0.0.0/8', 'a.example.com'], []]);
});

test('what cannot be used is named', () => {
  assert.throws(() => readConfig(['--log-level=loud', '--http-port=x'], {}), /--log-level: .*--http-port: /);
  assert.throws(
    () => readConfig(['--http-allow=10.0.0.0/99', '--http-deny=a.example.com'], {}),
    /--http-allow: "10\.0\.0\.0\/99" is neither.*--http-deny: "a\.example\.com" is neither/,
  );
  assert.throws(
    () => readConfig(['--colour=red'], {}),
    (error: Error) => error instanceof ConfigError && /--script-image/.test(error.message),
  );
});
