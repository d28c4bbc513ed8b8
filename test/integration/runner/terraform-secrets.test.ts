import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Ran } from './runner.ts';
import { TerraformSite } from './terraform-site.ts';

const secret = 'correct-horse "battery" <staple>';
const withSecret = { env: { TF_VAR_password: secret, DEPLOY_TOKEN: secret }, masked: ['DEPLOY_TOKEN'] };

/** Runs a script of the code when it is applied. */
const running = (script: string) => `
  provisioner "local-exec" {
    interpreter = ["/bin/bash"]
    command     = "${script}"
  }`;

/** Prints the secret a character at a time, with pauses at which Terraform makes a message of what it has. */
const leak = `
echo "whole: $DEPLOY_TOKEN."
for ((i = 0; i < ${secret.length}; i++)); do
  printf %s "\${DEPLOY_TOKEN:i:1}"
  if ((i % 11 == 5)); then sleep 0.3; fi
done
echo
printf %s "user:$DEPLOY_TOKEN" | base64
echo "on stderr: $DEPLOY_TOKEN" >&2
echo the end
`;

const refusing = `
variable "password" {}
resource "terraform_data" "a" {
  lifecycle {
    precondition {
      condition     = var.password == ""
      error_message = "no \${var.password}"
    }
  }
}`;

const sensitive = 'value-that-only-terraform-knows';
const sensitiveCode = (change: string) => `
resource "terraform_data" "a" {
  input            = sensitive("${sensitive}")
  triggers_replace = "${change}"
  ${running('print.sh')}
}
output "open" { value = "open ${change}" }
output "closed" {
  value     = terraform_data.a.output
  sensitive = true
}`;
const print = (exit: number) => `echo ${sensitive.slice(0, 10)}\necho ${sensitive.slice(10)}\nexit ${exit}\n`;

function assertHidden({ log, report }: Ran, ...values: string[]) {
  for (const value of values) {
    for (const text of [log, JSON.stringify(report)])
      assert.ok(!text.includes(value), `${value} is in: ${text}`);
  }
}

describe('a secret', () => {
  let site: TerraformSite;
  before(async () => {
    site = await TerraformSite.start('opentofu');
  });
  after(() => site[Symbol.asyncDispose]());

  test('that a provisioner prints in pieces, lines and Base64 is hidden', async () => {
    site.code(`resource "terraform_data" "leaky" {${running('leak.sh')}\n}`, { 'leak.sh': leak });
    const ran = await site.run({ action: 'apply' }, withSecret);
    assert.equal(ran.code, 0, ran.log);
    const encoded = Buffer.from(`user:${secret}`).toString('base64');
    assertHidden(ran, secret, secret.slice(0, 6), secret.slice(6, 16), 'staple', encoded.slice(10, 30));
    assert.match(ran.log, /leaky \(local-exec\): whole: \*\*\*\.\n/);
    // The pieces came in messages of their own.
    assert.match(ran.log, /leaky \(local-exec\): \*\*\*\n(.*: \*\*\*\n)+/);
    assert.match(ran.log, /leaky \(local-exec\): on stderr: \*\*\*\n/);
    assert.match(ran.log, /leaky \(local-exec\): the end\n/);
  });

  test('in an error is hidden in the log and in the report', async () => {
    site.code(refusing);
    const ran = await site.run({ action: 'plan' }, withSecret);
    assert.deepEqual([ran.code, ran.report.reason], [1, 'PlanFailed'], ran.log);
    assertHidden(ran, secret, 'battery');
    assert.match(ran.report.message ?? '', /no \*\*\*/);
  });

  test('that Terraform calls sensitive is neither in the log nor in the report, whoever prints it', async () => {
    site.code(sensitiveCode('one'), { 'print.sh': print(0) });
    const { planned, applied } = await site.planAndApply();
    assert.equal(applied.code, 0, applied.log);
    assert.deepEqual(applied.report.outputs, { open: 'open one' });
    assert.match(applied.log, /^Outputs:\n\nclosed = \(sensitive value\)\nopen = "open one"$/m);
    assert.ok(site.api.states.at(-1)?.includes(sensitive), 'it is in the state');
    assertHidden(planned, sensitive);
    assertHidden(applied, sensitive, sensitive.slice(10));
    assert.match(planned.log, /input += \(sensitive value\)/);

    site.code(sensitiveCode('two'), { 'print.sh': print(3) });
    const failed = await site.planAndApply();
    assert.equal(failed.applied.report.reason, 'ApplyFailed');
    assertHidden(failed.applied, sensitive, sensitive.slice(10));
  });

  test('of the runner itself is not told to the program', async () => {
    site.code(`resource "terraform_data" "nosy" {${running('nosy.sh')}\n}`, {
      'nosy.sh': "env | sed 's/^/env: /'",
    });
    const ran = await site.run({ action: 'apply' });
    assert.equal(ran.code, 0, ran.log);
    assert.match(ran.log, /env: TF_IN_AUTOMATION=1/);
    assert.doesNotMatch(ran.log, /env: SIGNALBOX/);
    assertHidden(ran, 'token-of-the-pod', site.api.url);
    assert.match(ran.log, /env: TF_HTTP_PASSWORD=\*\*\*/);
  });
});
