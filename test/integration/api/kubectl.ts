import { CommandFailed, run } from '../../cluster/command.ts';

/** What kubectl did: what it printed, and whether it was content. */
export interface Outcome {
  ok: boolean;
  text: string;
}

/** kubectl against one cluster; `input` is what it reads from `-f -`. */
export type Kubectl = (args: readonly string[], input?: string) => Promise<Outcome>;

/** @param program path of kubectl; @param kubeconfig path of the file that says which cluster, and as whom. */
export function kubectlOf(program: string, kubeconfig: string): Kubectl {
  return async (args, input = '') => {
    try {
      const text = await run([program, '--kubeconfig', kubeconfig, ...args], { input });
      return { ok: true, text };
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      return { ok: false, text: error.message.slice(error.message.indexOf('\n') + 1) };
    }
  };
}
