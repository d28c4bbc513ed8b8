import type { ApprovalField } from '../../src/api/approval-step.ts';
import type { Scalar } from '../../src/api/common.ts';
import type { PersonId } from './people.ts';

/** An approval: what it asks, and what people do about it. */
export interface DrawnApproval {
  approvers: readonly string[];
  required: number;
  allowSelf: boolean;
  fields: readonly ApprovalField[];
  /** Whether its time is so short that it may be over before people have decided. */
  expires: boolean;
  /** Whether the workflow says what follows a rejection. */
  hasFollowUp: boolean;
  voters: readonly Voter[];
}

/** What one person does, one thing after the other. People do not wait for each other. */
export interface Voter {
  who: PersonId;
  acts: readonly Act[];
}

export interface Act {
  asks: 'approve' | 'reject' | 'withdraw';
  /** Waits so long before that; or for the next blow to the operator, and then acts in that moment. */
  when: { afterMs: number } | 'Blow';
  /** Another step than the one that asks. */
  step?: string;
  fields?: Readonly<Record<string, Scalar>>;
  /** Whether the fields are not what the approval takes. */
  bad?: true;
  comment?: string;
}
