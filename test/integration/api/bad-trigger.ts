import { byAdmission, bySchema, type BadWorkflow, build } from './bad-workflow.ts';

const triggers = (list: string) => `{steps: [${build}], triggers: [${list}]}`;
const schedule = (fields: string) => triggers(`{name: nightly, schedule: {${fields}}}`);
const cron = (text: string) => schedule(`cron: "${text}"`);

/** Mistakes about what starts runs. */
export const triggerMistakes: BadWorkflow[] = [
  bySchema(
    'a trigger that nothing triggers',
    '"nightly" must set exactly one of these, to say what starts a run',
    triggers('{name: nightly}'),
  ),
  bySchema(
    'two triggers of the same name',
    'spec.triggers[1]: Duplicate value: {"name":"a"}',
    triggers('{name: a, schedule: {cron: "0 3 * * *"}}, {name: a, schedule: {cron: "0 4 * * *"}}'),
  ),
  bySchema(
    'a schedule without times',
    'spec.triggers[0].schedule.cron: Required value',
    schedule('timeZone: UTC'),
  ),
  bySchema(
    'a schedule whose deadline is no duration',
    'must be a duration',
    schedule('cron: "0 3 * * *", startingDeadline: an hour'),
  ),
  byAdmission('a cron expression with seconds', 'must have five fields', cron('0 0 3 * * *')),
  byAdmission('a cron expression with a shorthand', 'write "0 0 * * *"', cron('@daily')),
  byAdmission('an hour that no clock shows', 'hour "24"', cron('0 24 * * *')),
  byAdmission('a range over midnight', 'ends before it begins: write 22-23,0-2', cron('0 22-2 * * *')),
  byAdmission('a day that never comes', 'is never: no month of those has such a day', cron('0 0 30 2 *')),
  byAdmission(
    'a time zone that does not exist',
    'which is no time zone',
    schedule('cron: "0 3 * * *", timeZone: Europe/Berln'),
  ),
  byAdmission(
    'a time zone by its offset',
    'which is no time zone',
    schedule('cron: "0 3 * * *", timeZone: "+01:00"'),
  ),
  byAdmission(
    'a schedule with a param that the workflow does not have',
    'spec.triggers[0].schedule.params.region: is no parameter of the workflow',
    schedule('cron: "0 3 * * *", params: {region: eu}'),
  ),
  byAdmission(
    'a schedule without a param that is required',
    'spec.triggers[0].schedule.params.region: is required',
    `{steps: [${build}], params: [{name: region, required: true}], triggers: [{name: a, schedule: {cron: "0 3 * * *"}}]}`,
  ),
];
