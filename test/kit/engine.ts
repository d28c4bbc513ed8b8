import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../cluster/command.ts';
import { silent } from '../cluster/report.ts';
import { ensureTool } from '../cluster/tools.ts';

/** How many resources a plan creates, changes and destroys, as the program itself says in `show -json`. */
export interface PlannedCounts {
  add: number;
  change: number;
  destroy: number;
}

interface PlanJson {
  resource_changes?: { change: { actions: string[] } }[];
}

/** The real program on this machine, in a folder with a state of its own. */
export interface Engine {
  /** Replaces files. */
  write(files: Readonly<Record<string, string>>): Promise<void>;
  plan(): Promise<PlannedCounts>;
  apply(): Promise<void>;
}

export async function engineIn(folder: string, engine: 'opentofu' | 'terraform'): Promise<Engine> {
  const program = await ensureTool(engine, silent);
  // What this machine has set for itself is not what the code is about.
  const env = { TF_CLI_CONFIG_FILE: '/dev/null', CHECKPOINT_DISABLE: '1' };
  const call = (...args: string[]) => run([program, `-chdir=${folder}`, ...args], { limit: 60_000, env });
  const write = async (files: Readonly<Record<string, string>>) => {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(folder, path.basename(name));
      await mkdir(folder, { recursive: true });
      await writeFile(file, content);
    }
  };
  return {
    write,
    async plan() {
      await call('init', '-input=false');
      await call('plan', '-input=false', '-out=saved');
      return countsOf(JSON.parse(await call('show', '-json', 'saved')) as PlanJson);
    },
    apply: async () => void (await call('apply', '-input=false', 'saved')),
  };
}

function countsOf({ resource_changes: changes = [] }: PlanJson): PlannedCounts {
  const actions = changes.flatMap(({ change }) => change.actions);
  const count = (name: string) => actions.filter((action) => action === name).length;
  return { add: count('create'), change: count('update'), destroy: count('delete') };
}
