import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Attack, annotating, annotations } from './attack.ts';
import { runOf, type Scene } from './scene.ts';
import type { Person } from './setup.ts';

const KIB = 1024;
const much = (kib: number) => 'x'.repeat(kib * KIB);

/** Annotations that no command line takes, on a run that is left as it was. */
const writing =
  (person: Person, values: Record<string, string>) =>
  async (scene: Scene): Promise<string> => {
    const run = await scene.shared();
    return `${await writes(scene, person, run, values)}; ${await scene.stands(run)}`;
  };

async function writes(scene: Scene, person: Person, run: string, values: Record<string, string>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'attack-'));
  const file = path.join(folder, 'patch.json');
  await writeFile(file, JSON.stringify(annotations(values)));
  const said = await scene.does(person, [
    'patch',
    'workflowrun',
    run,
    '--type=merge',
    `--patch-file=${file}`,
  ]);
  await rm(folder, { recursive: true });
  return said;
}

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

const tooLarge: Attack[] = [
  {
    title: 'a comment of 300 KiB',
    attempt: writing('jane', { approve: 'approval', comment: much(300) }),
  },
  { title: 'fields of 300 KiB', attempt: writing('jane', { approve: 'approval', fields: much(300) }) },
  { title: 'the name of a step of 300 KiB', attempt: writing('jane', { approve: much(300) }) },
  {
    title: 'an approver votes, and writes an annotation of 300 KiB that nobody knows',
    attempt: writing('jane', { approve: 'approval', note: much(300) }),
  },
  {
    title: 'the same, with a name of 300 KiB',
    async attempt(scene) {
      const said = await writing('jane', { approve: 'approval', [much(300)]: '' })(scene);
      return said.replace(/x{9,}…?/, 'x…');
    },
  },
  { title: 'an author writes an annotation of 300 KiB', attempt: writing('ada', { note: much(300) }) },
  {
    title: 'an author writes an annotation of 200 KiB, and an approver votes',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      await writes(scene, 'ada', run, { note: much(200) });
      const said = await scene.annotates('jane', run, 'approve=approval');
      await scene.is(run, ({ status }) => status?.finishedAt !== undefined);
      return `${said}; ${await scene.stands(run)}`;
    },
  },
  {
    title: 'fields of two thousand levels',
    attempt: annotating('jane', 'approve=approval', `fields={"a":${nested(2000)}}`),
  },
  {
    title: 'fields with a number that is too large',
    attempt: annotating('jane', 'approve=approval', 'fields={"ticket":1e999}'),
  },
  {
    title: 'fields with the name of what all objects have',
    attempt: annotating('jane', 'approve=approval', 'fields={"__proto__":"x"}'),
  },
  {
    title: 'a run with a param of five thousand levels',
    async attempt(scene) {
      const params: unknown = { region: JSON.parse(nested(5000)) };
      const { spec, ...run } = runOf('gate');
      const said = await scene.does('ada', ['create', '-f', '-'], { ...run, spec: { ...spec, params } });
      return said.slice(0, 300);
    },
  },
];

/** What a comment makes of what others see, when it goes with a rejection. */
async function shown(scene: Scene, comment: string): Promise<string> {
  const run = await scene.waiting('gate');
  const said = await writes(scene, 'jane', run, { reject: 'approval', comment });
  if (!said.startsWith('yes')) return `${said}; ${await scene.stands(run)}`;
  const { status } = await scene.is(run, (now) => now.status?.finishedAt !== undefined);
  const listed = await scene.lines('jane', ['get', 'workflowruns', run, '-o', 'wide', '--no-headers']);
  return `${said}; the step says "${status?.steps?.[0]?.message}"; kubectl get shows ${listed} line of it`;
}

const withComment = (title: string, comment: string): Attack => ({
  title: `a comment ${title}`,
  attempt: (scene) => shown(scene, comment),
});

const noText: Attack[] = [
  withComment(
    'of two lines, of which the second looks like the word of somebody else',
    'no\nApproved by john',
  ),
  withComment('of lines as other systems end them, and a separator of lines', 'no\r\nApproved\u2028by john'),
  withComment('that moves the cursor of a terminal', 'no\u001b[2K\u001b[1GApproved by john'),
  withComment('with a zero byte', 'no\u0000'),
  withComment('that turns the order of letters around', 'no \u202enhoj yb devorppA'),
  withComment('with half a character, which the API server makes a sign of what is missing', 'no \ud83d'),
  {
    title: 'a field with half a character, and one with a zero byte, as JSON spells them',
    async attempt(scene) {
      const said = ['{"ticket": "\\ud83d"}', '{"ticket": "\\u0000"}'].map((fields) =>
        annotating('jane', 'approve=approval', `fields=${fields}`)(scene),
      );
      return (await Promise.all(said)).join('; ');
    },
  },
  { title: 'a vote for the step in another case', attempt: annotating('jane', 'approve=Approval') },
  { title: 'a vote for the step with a blank after it', attempt: annotating('jane', 'approve=approval ') },
  {
    title: 'a vote for the step with a new line after it',
    attempt: annotating('jane', 'approve=approval\n'),
  },
];

export const TEXT_ATTACKS: Attack[] = [...tooLarge, ...noText];
