/** What the project of Terraform does with its secrets, by mode: what it should not, and what goes wrong. */
const MAIN = `
variable "plain" {}
variable "marked" { sensitive = true }
variable "kept" { sensitive = true }
variable "mode" {}

resource "terraform_data" "kept" {
  input = { kept = var.kept, marked = var.marked }
  lifecycle {
    precondition {
      condition     = var.mode != "refusing"
      error_message = "not with \${var.plain}"
    }
  }
}
resource "terraform_data" "named" {
  for_each = toset([var.plain])
  provisioner "local-exec" {
    interpreter = ["/bin/bash"]
    command     = "show.sh"
    environment = { MODE = var.mode }
  }
}
output "kept" {
  value     = terraform_data.kept.output
  sensitive = true
}
output "open" {
  value = {
    plain  = var.plain
    base64 = base64encode("user:\${var.plain}")
    url    = urlencode(var.plain)
    json   = jsonencode({ v = var.plain })
  }
}
`;

/** Tells what it has, as scripts do that somebody debugs. */
const SHOW = `
echo "plain: $TF_VAR_plain"
printf %s "user:$TF_VAR_plain" | base64
echo "credential of the provider: $PROVIDER_PASSWORD" >&2
echo "what is sensitive: $TF_VAR_kept"
case "$MODE" in
  waiting) echo ready; echo ...; exec sleep 600 ;;
  failing) echo "no with $PROVIDER_PASSWORD" >&2; exit 3 ;;
esac
`;

export const terraformCode = { 'main.tf': MAIN, 'show.sh': SHOW };

const play = (...tasks: string[]) =>
  ['- hosts: web', '  gather_facts: false', '  tasks:', ...tasks.map((task) => `    - ${task}`), ''].join(
    '\n',
  );

/** @param vaulted content of a file that Ansible Vault has encrypted */
export const ansibleCode = (vaulted: string) => ({
  'group_vars/all.yml': 'ansible_python_interpreter: auto_silent\n',
  'group_vars/web/secret.yml': vaulted,
  'good.yml': play(
    '{no_log: true, copy: {dest: ~/word, content: "{{ vaulted }}"}}',
    "{name: the environment, debug: {msg: \"{{ lookup('env', 'PROVIDER_PASSWORD') }}\"}}",
    '{run_once: true, set_stats: {data: {length: "{{ vaulted | length }}", leaked: "{{ lookup(\'env\', \'PROVIDER_PASSWORD\') }}"}}}',
  ),
  'failing.yml': play(
    '{name: hidden, no_log: true, ignore_errors: true, command: "test -z {{ vaulted | quote }}"}',
    '{name: shown, ignore_errors: true, command: "test -z {{ vaulted | quote }}"}',
    "{name: environment, fail: {msg: \"no with {{ lookup('env', 'PROVIDER_PASSWORD') }}\"}}",
  ),
});
