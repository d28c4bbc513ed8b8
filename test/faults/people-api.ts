import { Pool } from 'undici';
import { API_VERSION, GROUP } from '../../src/api/common.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { Connection } from '../../src/kube/config.ts';
import { PEOPLE, type PersonId } from './people.ts';

/** Name of people's client in the audit log. */
const CLIENT = 'faults-people';

const RUNS = '/apis/signalbox.dev/v1alpha1/namespaces/default/workflowruns';

/** What the API server said to somebody. */
export type Answer =
  | { taken: true; run: WorkflowRun }
  /** Somebody judged it, and said no. */
  | { taken: false; message: string }
  /** Nobody judged it: no operator answered, or it could not find out what it must know. */
  | { taken: false; unheard: string };

/** What people ask of the API server, each as themselves. Nothing gets between them and it. */
export interface PeopleApi extends AsyncDisposable {
  create(who: PersonId, workflow: string): Promise<Answer>;
  /** Sets annotations of a run: `approve` is `signalbox.dev/approve`. */
  annotate(who: PersonId, run: string, asked: Readonly<Record<string, string>>): Promise<Answer>;
  read(run: string): Promise<WorkflowRun>;
}

/** @param connection the administrator's, who may act as anybody */
export function createPeopleApi({ server, ca, cert, key }: Connection): PeopleApi {
  const connect = { ...(ca ? { ca } : {}), ...(cert && key ? { cert, key } : {}) };
  const pool = new Pool(server, { allowH2: false, connect });

  async function ask(
    who: PersonId,
    method: 'POST' | 'PATCH' | 'GET',
    path: string,
    body?: object,
  ): Promise<Answer> {
    const { name, groups } = PEOPLE[who];
    const answer = await pool.request({
      method,
      path,
      // The API server may close a connection that is kept in the moment of the next request: was it carried out then?
      reset: true,
      headers: {
        'user-agent': CLIENT,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        'impersonate-user': name,
        'impersonate-group': [...groups, 'system:authenticated'],
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const said = (await answer.body.json()) as WorkflowRun & { message?: string };
    return answerOf(answer.statusCode, said);
  }

  return {
    create(who, workflow) {
      const spec = { workflowRef: { name: workflow } };
      const metadata = { generateName: `${workflow}-` };
      return ask(who, 'POST', RUNS, { apiVersion: API_VERSION, kind: 'WorkflowRun', metadata, spec });
    },
    annotate(who, run, asked) {
      const annotations = Object.fromEntries(
        Object.entries(asked).map(([name, value]) => [`${GROUP}/${name}`, value]),
      );
      return ask(who, 'PATCH', `${RUNS}/${run}`, { metadata: { annotations } });
    },
    async read(run) {
      const answer = await ask('eve', 'GET', `${RUNS}/${run}`);
      if (!answer.taken) throw new Error(JSON.stringify(answer));
      return answer.run;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

/** The API server gives up after some tries when others write, too. */
const TRY_AGAIN = new Set([409, 429]);

function answerOf(status: number, said: WorkflowRun & { message?: string }): Answer {
  if (status < 300) return { taken: true, run: said };
  const { message = '' } = said;
  const isUnheard = status >= 500 || TRY_AGAIN.has(status) || message.includes('could not judge it');
  return isUnheard ? { taken: false, unheard: message } : { taken: false, message };
}
