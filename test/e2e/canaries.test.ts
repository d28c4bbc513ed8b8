import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Project, WorkflowRun } from '../../src/api/resources.ts';
import { allSpellings, createFinder, type Finding, newSecret } from '../kit/canary.ts';
import { addOwnSecrets } from './canaries/own-secrets.ts';
import {
  clusterLogs,
  containerLogs,
  entriesOf,
  metrics,
  type Place,
  toldToSlack,
} from './canaries/places.ts';
import { type Control, runAll, runStored, showControl } from './canaries/runs.ts';
import { type Site, startSite } from './canaries/site.ts';
import { outcomes } from './canaries/workflows.ts';

interface Found extends Finding {
  where: string;
}

suite('nothing secret is where it does not belong', () => {
  const control: Control = { text: newSecret(), configMap: 'control' };
  let site: Site;
  let runs: Record<string, WorkflowRun>;
  let places: Place[];
  let found: Found[];
  before(async () => {
    site = await startSite();
    runs = await runAll(site, control);
    await addOwnSecrets(site.kit, site.plants);
    const stored = await runStored(site);
    runs['stored'] = stored.run;
    await addOwnSecrets(site.kit, site.plants);
    await showControl(site, control);
    site.plants.add('control', control.text, []);
    places = [...stored.places, ...(await allPlaces())];
    found = search();
  });
  after(() => site?.[Symbol.asyncDispose]());

  const allPlaces = async (): Promise<Place[]> => [
    ...entriesOf(site.etcd.entries),
    ...(await containerLogs(site.cluster)),
    ...(await clusterLogs(site.cluster)),
    ...(await metrics(site.kit)),
    ...toldToSlack(site.slack.received),
  ];

  function search(): Found[] {
    const find = createFinder(site.plants.canaries);
    return places.flatMap(({ where, content }) => find(content).map((finding) => ({ ...finding, where })));
  }

  test('every secret is used, in success and in failure', () => {
    for (const [name, reasons] of Object.entries(outcomes)) {
      const { steps } = runs[name]?.status ?? {};
      assert.deepEqual(
        steps?.map(({ reason }) => reason),
        reasons,
        `${name}: ${JSON.stringify(steps, null, 1)}`,
      );
    }
  });

  test('who is to have a secret has it, and whoever shows it shows three stars', async () => {
    assert.deepEqual([...site.echo.seen], [`Token ${site.header}`]);
    const tokens = site.slack.received
      .filter(({ answer }) => answer === 'ok')
      .map(({ headers }) => headers.authorization);
    assert.ok(tokens.includes(`Bearer ${site.slack.token}`));
    const outputsOf = (run: string, step: string) =>
      runs[run]?.status?.steps?.find(({ name }) => name === step)?.outputs;
    assert.partialDeepStrictEqual(outputsOf('deploy', 'apply'), {
      open: { plain: '***', json: '{"v":"***"}' },
    });
    assert.partialDeepStrictEqual(outputsOf('calls', 'good'), {
      json: { plain: 'Token ***', json: '{"secret":"Token ***"}' },
    });
    assert.deepEqual(outputsOf('configure', 'good'), { length: site.header.length, leaked: '***' });
    assert.deepEqual(outputsOf('scripts', 'good'), { length: String(site.header.length) });
    const projects = await site.kit.get<{ items: Project[] }>('projects');
    const reasons = projects.items.map(
      ({ metadata, status }) => `${metadata.name} ${status?.conditions?.[0]?.reason}`,
    );
    assert.deepEqual(reasons, [
      'denied-key SourceDenied',
      'denied-token SourceDenied',
      'infra Reachable',
      'web Reachable',
      'web-wrong-key Reachable',
      'web-wrong-vault Reachable',
    ]);
  });

  test('what is shown is found, in every place and in every spelling', () => {
    const { namespace } = site.kit;
    const shown = found.filter(({ canary }) => canary === 'control');
    const spellingsAt = (place: RegExp) =>
      new Set(shown.flatMap(({ where, spelling }) => (place.test(where) ? [spelling] : [])));
    const all = new Set(allSpellings(control.text).map(([spelling]) => spelling));
    assert.deepEqual(spellingsAt(new RegExp(`^/registry/configmaps/${namespace}/control$`)), all);
    assert.deepEqual(spellingsAt(new RegExp(`^file ${namespace}_control-.*/main/0\\.log$`)), all);
    for (const place of [
      new RegExp(`^/registry/signalbox\\.dev/workflowruns/${namespace}/control-`),
      new RegExp(`^/registry/events/${namespace}/control-`),
      /^file signalbox-system_signalbox-.*\/operator\//,
      /^message \d+ to Slack$/,
    ]) {
      assert.ok(spellingsAt(place).has('plain'), `${place}: ${JSON.stringify(shown)}`);
    }
    // Nothing of ours can be put into metrics.
    const scraped = places.filter(({ where }) => where.startsWith('metrics of signalbox-'));
    assert.ok(scraped.length >= 2 && scraped.every(({ content }) => content.includes('signalbox_runs ')));
    const find = createFinder(site.plants.canaries);
    for (const [spelling, content] of allSpellings(control.text)) {
      const packed = gzipSync(content);
      for (const text of [packed, Buffer.from(packed.toString('base64'))]) {
        const spellings = find(Buffer.concat([Buffer.from('before'), text])).map((one) => one.spelling);
        assert.ok(spellings.includes(`gzip of ${spelling}`), spelling);
      }
    }
  });

  test('every secret is in its Secret, and nowhere else', () => {
    const { plants } = site;
    const atHome = found.filter((one) => plants.belongs(one, one.where));
    const seen = new Set(atHome.map(({ canary }) => canary));
    assert.deepEqual(
      plants.settled.filter((name) => !seen.has(name)),
      [],
      'what etcd does not have can not be found either',
    );
    const strayed = found.filter((one) => one.canary !== 'control' && !plants.belongs(one, one.where));
    const lines = strayed.map(({ canary, spelling, where }) => `${canary}, as ${spelling}, is in ${where}`);
    assert.deepEqual([...new Set(lines)], []);
  });
});
