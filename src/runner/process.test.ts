import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Collected, lines, runProgram, type Sink } from './process.ts';

const env = { PATH: process.env['PATH'] ?? '' };
const running = () => new AbortController().signal;
const node = (script: string) => ({ program: process.execPath, args: ['-e', script], cwd: '/', env });

async function linesOf(script: string, stop = running(), onLine: (line: string) => void = () => undefined) {
  const seen: string[] = [];
  const sink = lines((line) => {
    seen.push(line);
    onLine(line);
  });
  const exit = await runProgram(node(script), { stdout: sink, stderr: sink, stop, stopBy: 'SIGINT' });
  return { seen, exit };
}

describe('a program', () => {
  test('gives its lines, whole, and its end', async () => {
    const script =
      'process.stdout.write("one\\ntw"); setTimeout(() => { process.stdout.write("o\\r\\n\\nlast"); process.exitCode = 3 }, 20)';
    assert.deepEqual(await linesOf(script), { seen: ['one', 'two', '', 'last'], exit: { code: 3 } });
  });

  test('gets arguments as they are: no shell reads them', async () => {
    const stdout = new Collected(100);
    const args = ['-e', 'console.log(process.argv[1])', '--', '$HOME; `id`'];
    const handling = { stdout, stderr: stdout, stop: running(), stopBy: 'SIGINT' } as const;
    await runProgram({ program: process.execPath, args, cwd: '/', env }, handling);
    assert.equal(stdout.text, '$HOME; `id`\n');
  });

  test('gets exactly one signal, however often the step is stopped, and may end by itself', async () => {
    const stop = new AbortController();
    const script = `
      let signals = 0;
      process.on('SIGINT', () => { signals += 1; console.log('SIGINT'); });
      process.on('SIGTERM', () => console.log('SIGTERM'));
      console.log('ready');
      setTimeout(() => console.log(signals), 600);`;
    const { seen, exit } = await linesOf(script, stop.signal, (line) => {
      if (line === 'ready' || line === 'SIGINT') stop.abort();
    });
    assert.deepEqual({ seen, exit }, { seen: ['ready', 'SIGINT', '1'], exit: { code: 0 } });
  });

  test('does not start once the step is stopped', async () => {
    const stop = AbortSignal.abort();
    await assert.rejects(linesOf('console.log(1)', stop), { reason: 'Interrupted' });
  });

  test('is not waited for by what it leaves behind', async () => {
    const child = 'setTimeout(() => {}, 30000)';
    const script = `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit', detached: true });
      console.log(child.pid);
      child.unref();`;
    const { seen, exit } = await linesOf(script);
    assert.deepEqual(exit, { code: 0 });
    process.kill(Number(seen[0]));
  });

  test('that is not there is named', async () => {
    const sink: Sink = { write: () => undefined, end: () => undefined };
    const command = { program: 'no-such-program', args: [], cwd: '/', env };
    await assert.rejects(
      runProgram(command, { stdout: sink, stderr: sink, stop: running(), stopBy: 'SIGINT' }),
      { reason: 'ProgramNotFound', message: /no-such-program is not in the image/ },
    );
  });
});

describe('lines', () => {
  test('are put together from pieces that end within a character', () => {
    const seen: string[] = [];
    const sink = lines((line) => seen.push(line));
    const bytes = Buffer.from('é€\n💥');
    for (const byte of bytes) sink.write(Buffer.from([byte]));
    sink.end();
    assert.deepEqual(seen, ['é€', '💥']);
  });
});
