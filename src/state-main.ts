import { hostname } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { readConfig } from './config.ts';
import { loadConnection } from './kube/config.ts';
import { createTransport } from './kube/transport.ts';
import { openStorage } from './storage-settings.ts';
import { runStateCommand, StateCommandError } from './storage/state-command.ts';

/** `main.js state ...`, in the operator's container: its settings come from the environment alone. */
export async function stateMain(args: readonly string[]): Promise<void> {
  const closing: (() => Promise<void>)[] = [];
  await runStateCommand(args, {
    async open() {
      const config = readConfig([], process.env);
      const transport = createTransport(await loadConnection(), { userAgent: 'signalbox-state' });
      const opened = await openStorage(config, transport, (error) => console.error(String(error)));
      if (!opened) throw new StateCommandError('there are no keys: set SIGNALBOX_KEYS_DIR to their folder');
      closing.push(transport.close, opened.storage.close);
      return opened.storage.states;
    },
    input: () => buffer(process.stdin),
    output: (content) => void process.stdout.write(content),
    host: hostname(),
    now: () => Date.now(),
  });
  await Promise.all(closing.map((close) => close()));
}
