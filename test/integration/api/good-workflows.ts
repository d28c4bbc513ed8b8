/** Workflows that must be accepted, by what is good about them. */
export const goodWorkflows: Readonly<Record<string, string>> = {
  'the smallest workflow': `
apiVersion: signalbox.dev/v1alpha1
kind: Workflow
metadata: {name: smallest}
spec:
  steps:
    - {name: hello, script: {bash: echo hello}}
`,
  'a workflow with everything set': `
apiVersion: signalbox.dev/v1alpha1
kind: Workflow
metadata: {name: everything}
spec:
  state: Paused
  triggers:
    - {name: nightly, schedule: {cron: "*/5,59 0-23/2 * JAN-dec mon,7", timeZone: America/Argentina/Buenos_Aires, startingDeadline: 8760h, params: {region: us, dryRun: true, _replicas2: 2.5, version: "1"}}}
    - {name: hourly, schedule: {cron: 0 * * * *, params: {version: "1"}}}
  timeout: 1h30m
  retention: {succeeded: 0, failed: 10000, ttl: 0s}
  podDefaults:
    serviceAccountName: deployer
    resources:
      requests: {cpu: 2, memory: 512Mi, example.com/gpu: "1"}
      limits: {cpu: "2.5", memory: 0.5Gi}
    nodeSelector: {kubernetes.io/arch: amd64, empty: ""}
    tolerations:
      - {operator: Exists}
      - {key: gpu, value: a100, effect: NoExecute, tolerationSeconds: 0}
    imagePullSecrets: [{name: registry}]
    pendingTimeout: 10m
  params:
    - {name: region, description: Where to build., default: eu, enum: [eu, us], pattern: "[a-z]+"}
    - {name: _replicas2, type: number, default: 1.5}
    - {name: dryRun, type: boolean, default: false}
    - {name: version, type: string, required: true}
  steps:
    - name: build
      script:
        bash: make
        image: registry.example.com:5000/tools/make@sha256:0123456789abcdef
        env: {REGION: "\${{ params.region }}", _x: ""}
        secrets: {TOKEN: {name: api.example.com, key: token.txt}}
      timeout: 1s
      retry: {limit: 20, backoff: {initial: 0s, factor: 1, max: 8760h}}
      continueOnError: true
      pod: {serviceAccountName: builder}
    - {name: 2-test, dependsOn: [build], when: params.dryRun, runIf: Always, script: {python: print()}}
    - {name: lint, dependsOn: [], runIf: Failure, script: {node: console.log()}}
  finally:
    - {name: clean, when: "run.phase == 'Failed'", timeout: 250ms1s, script: {bash: make clean}}
`,
  'the deployment that everybody wants': `
apiVersion: signalbox.dev/v1alpha1
kind: Workflow
metadata: {name: production-deploy}
spec:
  environment: production
  steps:
    - {name: plan,   terraform: {project: api-infrastructure, action: plan}}
    - {name: approval, approval: {approvers: ["team:platform"], timeout: 1h}}
    - {name: apply,  terraform: {project: api-infrastructure, action: apply, plan: plan}}
    - {name: site,   ansible: {project: api-infrastructure, playbook: site.yml, inventory: {groups: '{"web": steps.apply.outputs.hosts}'}}}
    - {name: test,   http: {url: https://api.example.com/health}}
    - {name: notify, slack: {channel: "#deployments", message: Deploy complete}}
`,
  'a destruction that two people agree to, with everything an approval can have': `
apiVersion: signalbox.dev/v1alpha1
kind: Workflow
metadata: {name: tear-down}
spec:
  timeout: 10m
  steps:
    - {name: plan, terraform: {project: api, action: plan, destroy: true}}
    - name: approval
      approval:
        approvers: ["team:platform", "user:jane@example.com", "group:system:masters"]
        required: 2
        timeout: 2h
        allowSelf: true
        message: "Destroy everything of \${{ run.name }}?"
        plan: plan
        fields:
          - {name: ticket, required: true, pattern: "T-[0-9]+", description: Where it was agreed}
          - {name: wait, type: number, default: 0, enum: [0, 5]}
        onReject: [tell]
    - {name: tell, slack: {channel: "#deployments", message: It stays}}
    - {name: destroy, terraform: {project: api, action: destroy, plan: plan}}
  notifications:
    onWaiting: [{slack: {channel: "#deployments"}}]
    onApproved: [{slack: {channel: "#deployments"}}]
    onRejected: [{slack: {channel: "#deployments"}}]
    onExpired: [{slack: {channel: "#deployments"}}]
`,
  'a deployment to two regions': `
apiVersion: signalbox.dev/v1alpha1
kind: Workflow
metadata: {name: two-regions}
spec:
  steps:
    - {name: plan, forEach: {items: [us, eu]}, terraform: {project: "api-\${{ item }}", action: plan, vars: {region: "\${{ item }}", sizes: [1, 2]}}}
    - {name: apply-us, dependsOn: [plan], terraform: {project: api-us, action: apply, plan: "plan[us]"}}
    - {name: apply-eu, dependsOn: [plan], terraform: {project: api-eu, action: apply, plan: "plan[eu]"}}
    - {name: verify, dependsOn: [apply-us, apply-eu], http: {url: https://api.example.com/health}}
`,
  'a project with everything set': `
apiVersion: signalbox.dev/v1alpha1
kind: Project
metadata: {name: all-of-it}
spec:
  description: The API and what it runs on.
  git: {url: "ssh://git@git.example.com:2222/team/api.git", ref: v1.2.3, path: infra/live, credentials: {name: git}, submodules: true}
  terraform:
    engine: terraform
    version: "1.13"
    image: registry.example.com/terraform:1
    workspace: blue
    vars: {size: 3, zones: [a, b], tags: {team: api}}
    varsFrom: {password: {name: db, key: password}}
    varFiles: [live.tfvars]
    state: managed
    stateVersions: 5
    lockTimeout: 0s
    providerMirror: {url: "https://mirror.example.com/"}
    pluginCache: {claim: plugins}
  ansible:
    inventory: hosts.ini
    user: deploy
    credentials: {name: ssh}
    vault: {name: vault, key: password}
    requirements: requirements.yml
    galaxyServer: https://galaxy.example.com
  serviceAccountName: deployer
  env: {REGION: eu}
  secrets: {TOKEN: {name: cloud, key: token}}
  caBundle: {configMap: {name: ca, key: ca.crt}}
`,
};

/** A workflow as large as they may be: 500 steps, each of which waits for up to 256 others. */
export function largestWorkflow(): string {
  const names = Array.from({ length: 500 }, (_, i) => `${'step'.repeat(13)}-${i}`);
  const steps = names.map((name, i) => ({
    name,
    dependsOn: i === 499 ? names.slice(0, 256) : names.slice(Math.max(0, i - 4), i),
    script: { bash: 'echo "$NAME"', env: { NAME: name } },
  }));
  return JSON.stringify({
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'Workflow',
    metadata: { name: 'largest' },
    spec: { steps },
  });
}
