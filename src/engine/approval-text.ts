import type { ApprovedPlan } from '../api/approval-status.ts';

/** What plans come to, a line for each: `plan: 3 to add, 1 to change, 0 to destroy`. */
export const plansText = (plans: readonly ApprovedPlan[]): string[] =>
  plans.map((plan) => `${plan.step}: ${countsText(plan)}`);

function countsText({ add, change, destroy, import: imported, replace }: ApprovedPlan): string {
  const more = [
    ...(imported > 0 ? [`${imported} to import`] : []),
    ...(replace > 0 ? [`${replace} of them made anew`] : []),
  ];
  return [`${add} to add`, `${change} to change`, `${destroy} to destroy`, ...more].join(', ');
}
