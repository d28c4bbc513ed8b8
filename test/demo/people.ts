import type { Kit } from '../kit/kit.ts';

/** Somebody who may approve. */
export interface Approver {
  user: string;
  group: string;
}

/** A team that nobody has listed is the group of its name: this is a member of team:platform. */
export const jane: Approver = { user: 'jane@example.com', group: 'platform' };

/** Lets the group vote in the namespace, by the role that the chart brings. Who is asked says the workflow. */
export const letApprove = (kit: Kit, { group }: Approver) =>
  kit.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'approvers' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'signalbox-approver' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }],
  });

/** The arguments of kubectl by which somebody approves a step. */
export const approval = ({ user, group }: Approver, run: string, step: string): string[] => [
  `--as=${user}`,
  `--as-group=${group}`,
  // Whoever has logged in is in this group, too.
  '--as-group=system:authenticated',
  'annotate',
  'workflowrun',
  run,
  `signalbox.dev/approve=${step}`,
];
