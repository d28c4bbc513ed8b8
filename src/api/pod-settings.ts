import * as z from 'zod';
import { checks, duration, objectName } from './common.ts';

/** People write `cpu: 2` as well as `cpu: "2"`, and a pod takes both. */
const quantity = z
  .union([z.string().max(32), z.int()])
  .transform(String)
  .meta({
    description: 'A Kubernetes quantity such as 250m, 2 or 512Mi.',
    ...checks({
      rule: 'type(self) == int || isQuantity(self)',
      message: 'must be a quantity such as 250m, 2 or 512Mi',
      culprit: 'self',
    }),
  });

const resourceName = z.string().min(1).max(253);
const resourceList = (description: string) =>
  z.record(resourceName, quantity).meta({ description, maxProperties: 16 });

const toleration = z
  .strictObject({
    key: z
      .string()
      .max(253)
      .optional()
      .meta({ description: 'Taint key. Without it, and with operator Exists, every taint matches.' }),
    operator: z
      .enum(['Exists', 'Equal'])
      .optional()
      .meta({ description: 'Equal: the value must match too. Exists: any value matches. Default Equal.' }),
    value: z.string().max(63).optional().meta({ description: 'Taint value, for operator Equal.' }),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .optional()
      .meta({ description: 'Taint effect. Default: every effect.' }),
    tolerationSeconds: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'How long a NoExecute taint is tolerated, in seconds. Default: for ever.' }),
  })
  .meta({
    description: 'A taint that the pod may run beside.',
    ...checks(
      {
        rule: "!has(self.value) || !has(self.operator) || self.operator == 'Equal'",
        message: 'operator Exists takes no value: remove value, or use operator Equal',
      },
      {
        rule: "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
        message: 'a toleration without key needs operator Exists',
      },
      {
        rule: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        message: 'tolerationSeconds goes with effect NoExecute only',
      },
    ),
  });

const exceeds =
  'r in self.limits && [self.requests[r], self.limits[r]].all(q, isQuantity(string(q))) && quantity(string(self.requests[r])).isGreaterThan(quantity(string(self.limits[r])))';

const withinLimits = {
  rule: `!has(self.requests) || !has(self.limits) || !self.requests.exists(r, ${exceeds})`,
  message: 'is requested above its limit: lower the request or raise the limit',
  culprit: `self.requests.filter(r, ${exceeds})[0]`,
};

/** The settings of a step's pod that a workflow may choose; everything else about the pod is the operator's. */
export const podSettings = z.strictObject({
  serviceAccountName: objectName('service account whose token the pod gets').optional().meta({
    description:
      'Service account that the pod runs as, with its API token mounted. Default: the default account of the namespace, without a token.',
  }),
  resources: z
    .strictObject({
      requests: resourceList('What the container is guaranteed, for example cpu: 250m.').optional(),
      limits: resourceList('What the container may use at most, for example memory: 512Mi.').optional(),
    })
    .optional()
    .meta({
      description: 'CPU, memory and other resources of the container that runs the step.',
      ...checks(withinLimits),
    }),
  nodeSelector: z.record(z.string().max(317), z.string().max(63)).optional().meta({
    description: 'Labels that a node must have to run the pod. Default: any node.',
    maxProperties: 16,
  }),
  tolerations: z
    .array(toleration)
    .max(16)
    .optional()
    .meta({ description: 'Taints that the pod may run beside.' }),
  imagePullSecrets: z
    .array(
      z
        .strictObject({ name: objectName('Secret') })
        .meta({ description: 'A Secret of type kubernetes.io/dockerconfigjson.' }),
    )
    .max(8)
    .optional()
    .meta({ description: 'Secrets to pull the image with.' }),
  pendingTimeout: duration(
    'How long the pod may wait to start (for a node, an image, a Secret, quota) before the step fails. Default 5m.',
  ).optional(),
});
export type PodSettings = z.infer<typeof podSettings>;
