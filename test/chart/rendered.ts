import assert from 'node:assert/strict';
import type {
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from 'kubernetes-types/admissionregistration/v1.d.ts';
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts';
import type { PolicyRule, Role } from 'kubernetes-types/rbac/v1.d.ts';
import { type Manifest, ofKind } from './helm.ts';

/** The one that there is. */
export function deploymentOf(objects: readonly Manifest[]): Deployment {
  const [deployment, ...others] = ofKind<Deployment>(objects, 'Deployment');
  assert.ok(deployment && others.length === 0);
  return deployment;
}

/** Arguments of the operator. */
export function argumentsOf(objects: readonly Manifest[]): string[] {
  return deploymentOf(objects).spec?.template.spec?.containers[0]?.args ?? [];
}

/** Webhooks of both kinds, which are alike in what is looked at. */
export function webhooksOf(objects: readonly Manifest[]): ValidatingWebhook[] {
  return ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'].flatMap((kind) =>
    ofKind<ValidatingWebhookConfiguration>(objects, kind).flatMap(({ webhooks }) => webhooks ?? []),
  );
}

/** Of all roles. */
export function rulesOf(objects: readonly Manifest[]): PolicyRule[] {
  return ['Role', 'ClusterRole'].flatMap((kind) =>
    ofKind<Role>(objects, kind).flatMap(({ rules }) => rules ?? []),
  );
}
