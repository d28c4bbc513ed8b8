import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { ProjectState, ProjectStatus } from '../api/project.ts';
import type { Project } from '../api/resources.ts';
import type { Happening } from '../kube/events.ts';
import { reply } from '../kube/fake-server.ts';
import { fakeWorkshop } from '../steps/fake-program.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { createProjectController, type Holder } from './project-controller.ts';
import { checkNameOf } from './source-check.ts';
import { projectView } from './views.ts';

const NOW = Date.UTC(2030, 0, 1);
const commit = 'c'.repeat(40);
const project: Project = {
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'Project',
  metadata: { namespace: 'ns', name: 'api', uid: 'api-uid', resourceVersion: '1', generation: 2 },
  spec: { git: { url: 'https://git.example.com/api.git', ref: 'main' } },
};
const checkName = checkNameOf(projectView(project));

const ended = (exitCode: number, report: object) => ({
  containerStatuses: [
    {
      name: 'main',
      image: '',
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode, message: JSON.stringify(report) } },
    },
  ],
});
const checkPod = (status: object = {}, name = checkName): Pod => ({
  metadata: {
    namespace: 'ns',
    name,
    uid: `${name}-uid`,
    resourceVersion: '3',
    creationTimestamp: new Date(NOW).toISOString(),
    labels: { 'signalbox.dev/project': 'api', 'signalbox.dev/runner': 'true' },
    ownerReferences: [
      { apiVersion: project.apiVersion, kind: 'Project', name: 'api', uid: 'api-uid', controller: true },
    ],
  },
  status,
});

interface World {
  project?: Project;
  check?: Pod;
  states?: ProjectState[];
  /** UIDs of pods, by name. */
  pods?: Record<string, string>;
}

/** Reconciles once, and gives the calls, the status that was written and the events. */
async function reconcileOnce(
  t: TestContext,
  { project: given = project, check, states = [], pods = {} }: World,
) {
  const answer: Answer = ({ method, body, url }, response) => {
    if (method === 'POST') {
      const made: Pod = JSON.parse(body);
      return reply(response, 201, {
        ...made,
        metadata: { ...made.metadata, uid: 'u', resourceVersion: '8' },
      });
    }
    if (method === 'DELETE') return reply(response, 200, {});
    if (!url.pathname.includes('/projects/')) return;
    const patch: Partial<Project> = JSON.parse(body);
    reply(response, 200, {
      ...given,
      ...patch,
      metadata: { ...given.metadata, annotations: {}, resourceVersion: '9' },
    });
  };
  const fake = await fakeCluster(t, answer);
  const { cluster } = fake;
  cluster.projects.store.observe('ADDED', given);
  if (check) cluster.checks.store.observe('ADDED', check);
  for (const [name, uid] of Object.entries(pods)) {
    cluster.pods.store.observe('ADDED', { metadata: { namespace: 'ns', name, uid, resourceVersion: '4' } });
  }
  const events: Happening[] = [];
  const unlocked: string[] = [];
  const reconcile = createProjectController({
    cluster,
    queue: { add: () => {}, addAfter: () => {} },
    events: { record: (event) => void events.push(event), close: async () => {} },
    images: fakeWorkshop().images,
    states: {
      shown: (_namespace, _project, isGone: (holder: Holder) => boolean) =>
        states.map((state) =>
          state.lock && isGone({ pod: state.lock.pod, podUid: `${state.lock.pod}-uid` })
            ? { ...state, lock: { ...state.lock, orphaned: true } }
            : state,
        ),
      subscribe: () => {},
      async unlock(state, id) {
        unlocked.push(`${state.workspace}/${id}`);
        return 'Unlocked';
      },
    },
    now: () => NOW,
  });
  await reconcile('ns/api');
  const patch = fake.requests.find(({ url }) => url.pathname.endsWith('/projects/api/status'));
  const status: ProjectStatus = patch ? JSON.parse(patch.body).status : {};
  return { ...fake, status, events, unlocked };
}

const readyIn = ({ conditions = [] }: ProjectStatus) => {
  const { status, reason, message } = conditions.find(({ type }) => type === 'Ready') ?? {};
  return [status, reason, message];
};
const lockedIn = ({ conditions = [] }: ProjectStatus) =>
  conditions.find(({ type }) => type === 'StateLocked')?.reason;

suite('the source of a project', () => {
  test('is looked at by a pod that has no token and the credentials of the project', async (t) => {
    const credentials = { git: { ...project.spec.git, credentials: { name: 'git' } } };
    const { calls, requests, status } = await reconcileOnce(t, {
      project: { ...project, spec: credentials },
    });
    assert.deepEqual(calls(), ['PATCH projects/api/status', 'POST pods']);
    assert.deepEqual(readyIn(status).slice(0, 2), ['Unknown', 'Checking']);
    const { spec }: Pod = JSON.parse(requests.at(-1)?.body ?? '');
    assert.equal(spec?.automountServiceAccountToken, false);
    assert.deepEqual(
      spec?.volumes?.flatMap(({ secret }) => (secret ? [secret.secretName] : [])),
      ['git'],
    );
    assert.ok(!spec?.volumes?.some(({ projected }) => projected));
  });

  test('is reachable when the pod found its commit', async (t) => {
    const check = checkPod(ended(0, { reason: 'Completed', commit }));
    const { calls, status } = await reconcileOnce(t, { check });
    assert.deepEqual(calls(), ['PATCH projects/api/status', `DELETE pods/${checkName}`]);
    assert.deepEqual(readyIn(status), ['True', 'Reachable', `main stands for commit ${commit}.`]);
    assert.equal(status.commit, commit);
    assert.equal(status.observedGeneration, 2);
  });

  test('is not when it did not, for the reason that the pod gives', async (t) => {
    const check = checkPod(ended(1, { reason: 'SourceDenied', message: 'The token is not valid.' }));
    const { status } = await reconcileOnce(t, { check });
    assert.deepEqual(readyIn(status), ['False', 'SourceDenied', 'The token is not valid.']);
  });

  test('is not known while the pod does not start, and why', async (t) => {
    const waiting = {
      name: 'main',
      state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } },
    };
    const { status, calls } = await reconcileOnce(t, { check: checkPod({ containerStatuses: [waiting] }) });
    assert.deepEqual(readyIn(status), ['Unknown', 'ImagePullBackOff', 'no such image']);
    assert.deepEqual(calls(), ['PATCH projects/api/status']);
  });

  test('is not looked at again as long as what was found holds', async (t) => {
    const conditions = [
      {
        type: 'Ready',
        status: 'True' as const,
        reason: 'Reachable',
        message: 'm',
        observedGeneration: 2,
        lastTransitionTime: new Date(NOW).toISOString(),
      },
    ];
    const known = {
      observedGeneration: 2,
      checkedAt: new Date(NOW - 1000).toISOString(),
      commit,
      conditions,
    };
    const { requests } = await reconcileOnce(t, { project: { ...project, status: known } });
    assert.ok(!requests.some(({ method }) => method === 'POST'));
    const edited = { ...project, metadata: { ...project.metadata, generation: 3 }, status: known };
    assert.ok((await reconcileOnce(t, { project: edited })).requests.some(({ method }) => method === 'POST'));
  });

  test('is not judged by the pod of an earlier generation', async (t) => {
    const old = checkPod(ended(0, { reason: 'Completed', commit }), 'api-check-old');
    const { calls, status } = await reconcileOnce(t, { check: old });
    assert.equal(calls()[0], 'DELETE pods/api-check-old');
    assert.equal(readyIn(status)[0], 'Unknown');
  });
});

suite('the lock of a state', () => {
  const lock = {
    id: 'id-1',
    operation: 'OperationTypeApply',
    pod: 'p',
    run: 'r',
    step: 'apply',
    since: '2029-12-31T00:00:00.000Z',
  };
  const states: ProjectState[] = [{ workspace: 'default', serial: 3, versions: 1, lock }];
  const asked: Project = {
    ...project,
    metadata: { ...project.metadata, annotations: { 'signalbox.dev/unlock': 'id-1' } },
  };

  test('is shown with who holds it', async (t) => {
    const { status } = await reconcileOnce(t, { states, pods: { p: 'p-uid' } });
    assert.equal(lockedIn(status), 'Locked');
    assert.deepEqual(status.states?.[0]?.lock, lock);
  });

  test('is orphaned when its pod is gone, also when another has its name', async (t) => {
    assert.equal(lockedIn((await reconcileOnce(t, { states })).status), 'Orphaned');
    assert.equal(lockedIn((await reconcileOnce(t, { states, pods: { p: 'other' } })).status), 'Orphaned');
  });

  test('is broken when a person asks for it and its pod is gone', async (t) => {
    const { unlocked, events } = await reconcileOnce(t, { project: asked, states });
    assert.deepEqual(unlocked, ['default/id-1']);
    assert.equal(events[0]?.reason, 'Unlocked');
  });

  test('is not broken while its pod is at work, or by another ID', async (t) => {
    const atWork = await reconcileOnce(t, { project: asked, states, pods: { p: 'p-uid' } });
    assert.deepEqual(atWork.unlocked, []);
    assert.match(atWork.events[0]?.note ?? '', /held by step apply of run r, whose pod is at work/);
    const none = await reconcileOnce(t, { project: asked, states: [] });
    assert.match(none.events[0]?.note ?? '', /No state of the project has a lock with the ID id-1/);
  });
});
