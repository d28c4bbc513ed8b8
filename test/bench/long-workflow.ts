import type { Spec } from '../kit/kit.ts';

const PARTS = 10;

/** A hundred steps as people write them: scripts, calls, messages, conditions and lists, each with values of others in it. */
export const longWorkflow = (description: string): Spec => ({
  description,
  params: [
    { name: 'region', type: 'string', default: 'eu', enum: ['eu', 'us'] },
    { name: 'limit', type: 'number', default: 3 },
  ],
  steps: Array.from({ length: PARTS }, (_, part) => stepsOf(part)).flat(),
});

const api = { Authorization: { name: 'api', key: 'token', prefix: 'Bearer ' } };

/** Ten steps that build something, look at it, and go on or tell of it. */
function stepsOf(part: number): Spec['steps'] {
  const before = part === 0 ? 'run.name' : `steps.build${part - 1}.outputs.image`;
  const image = `\${{ steps.build${part}.outputs.image }}`;
  const channel = '#deployments';
  return [
    {
      name: `build${part}`,
      script: {
        env: { REGION: '${{ params.region }}', BEFORE: `\${{ ${before} }}` },
        bash: 'set -o pipefail\n./build --region "$REGION" --from "$BEFORE" | tee build.log\necho "image=$(tail -n 1 build.log)" >> "$SIGNALBOX_OUTPUT"\n',
      },
      retry: { limit: 2, backoff: { initial: '10s', factor: 2, max: '1m' } },
    },
    {
      name: `test${part}`,
      when: `steps.build${part}.outputs.image.startsWith("registry.example.com/") && params.region != ""`,
      script: { env: { IMAGE: image }, bash: './test "$IMAGE"\n' },
      timeout: '10m',
    },
    {
      name: `count${part}`,
      script: {
        env: { REGION: '${{ params.region }}' },
        python: 'import os\nprint("counting in", os.environ["REGION"])\n',
      },
    },
    {
      name: `scale${part}`,
      when: `int(steps.count${part}.outputs.nodes) > params.limit`,
      http: {
        method: 'POST',
        url: 'https://${{ params.region }}.api.example.com/scale',
        secretHeaders: api,
        json: { image, nodes: `\${{ steps.count${part}.outputs.nodes }}`, run: '${{ run.name }}' },
      },
      retry: { limit: 3, causes: ['Infrastructure'] },
    },
    {
      name: `check${part}`,
      http: {
        url: `https://\${{ params.region }}.api.example.com/health?image=${image}`,
        headers: { 'X-Trace': '${{ run.name }}' },
        expect: 'response.status == 200 && has(response.json)',
        outputs: { state: 'response.json.state' },
      },
    },
    {
      name: `ready${part}`,
      condition: {
        if: `steps.check${part}.outputs.state == "ready"`,
        then: [`promote${part}`],
        else: [`report${part}`],
      },
    },
    { name: `promote${part}`, script: { env: { IMAGE: image }, bash: './promote "$IMAGE"\n' } },
    {
      name: `report${part}`,
      slack: {
        channel,
        message: `\${{ run.name }} is not ready in \${{ params.region }}: \${{ steps.check${part}.outputs.state }}`,
      },
    },
    {
      name: `each${part}`,
      forEach: { items: ['a', 'b', 'c'], maxParallel: 2 },
      script: { env: { ITEM: '${{ item }}', IMAGE: image }, bash: './roll-out "$ITEM" "$IMAGE"\n' },
    },
    {
      name: `tell${part}`,
      runIf: 'Always',
      slack: { channel, message: `Part ${part} of \${{ workflow.name }}: \${{ steps.each${part}.phase }}` },
    },
  ];
}
