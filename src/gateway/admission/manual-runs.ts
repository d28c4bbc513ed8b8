import { GROUP } from '../../api/common.ts';
import { RUN_BY } from '../../engine/created-by.ts';
import { changedKeys, fieldOf } from './changes.ts';
import { type AdmissionRequest, forbidden, type Verdict } from './review.ts';
import type { Ballot } from './runs.ts';

const RUN = `${GROUP}/run`;

/** Records who asks for a run by an annotation of its workflow: the operator creates the run, and it is theirs. */
export async function reviewManualRun(
  { object, oldObject, userInfo }: AdmissionRequest,
  ballot: Pick<Ballot, 'runBy'>,
): Promise<Verdict> {
  const { annotations } = object.metadata;
  const changed = changedKeys(oldObject?.metadata.annotations ?? {}, annotations ?? {});
  if (changed.includes(RUN_BY)) {
    const message = 'is written by Signalbox alone: leave it as it is';
    return forbidden([{ field: fieldOf(RUN_BY), message }]);
  }
  // A workflow that is being created has no UID, by which the record would be bound to it.
  if (!oldObject || !changed.includes(RUN)) return { allowed: true };
  const record = annotations?.[RUN] === undefined ? null : ballot.runBy(object, userInfo);
  return { allowed: true, changes: { [RUN_BY]: record } };
}
