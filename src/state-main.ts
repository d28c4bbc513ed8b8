import { hostname } from 'node:os';
import { text } from 'node:stream/consumers';
import { readConfig } from './config.ts';
import { loadConnection } from './kube/config.ts';
import { createTransport } from './kube/transport.ts';
import { openStorage } from './storage-settings.ts';
import { runStateCommand, StateCommandError } from './storage/state-command.ts';

/** `main.js state ...`, in the operator's container: its settings come from the environment alone. */
export async function stateMain(args: readonly string[]): Promise<void> {
  const config = readConfig([], process.env);
  const transport = createTransport(await loadConnection(), { userAgent: 'signalbox-state' });
  const onError = (error: unknown) => console.error(String(error));
  const opened = await openStorage(config, transport, onError);
  if (!opened) throw new StateCommandError('there are no keys: set SIGNALBOX_KEYS_DIR to their folder');
  const { storage } = opened;
  await runStateCommand(args, {
    states: storage.states,
    input: async () => Buffer.from(await text(process.stdin)),
    output: (content) => void process.stdout.write(content),
    host: hostname(),
    now: () => Date.now(),
  });
  await Promise.all([storage.close(), transport.close()]);
}
