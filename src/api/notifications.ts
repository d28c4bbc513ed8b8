import * as z from 'zod';
import { slackStep } from './slack-step.ts';

const notification = z
  .strictObject({
    slack: slackStep.meta({
      description:
        'Sends a message to Slack, as a step of type slack does. A failure never counts: failOnError changes nothing.',
    }),
  })
  .meta({ description: 'One message to send.' });

const on = (description: string) =>
  z.array(notification).max(4).optional().meta({ description, 'x-kubernetes-list-type': 'atomic' });

/** Messages about the runs of a workflow that are sent without a step. */
export const notifications = z
  .strictObject({
    onStart: on('What is sent when a run starts.'),
    onWaiting: on(
      'What is sent when a run waits before it can go on: for its turn, or for an approval. Each approval has a message of its own, which says how to approve.',
    ),
    onApproved: on('What is sent when a step was approved.'),
    onRejected: on('What is sent when a step was rejected.'),
    onExpired: on('What is sent when nobody decided on a step in time.'),
    onSuccess: on('What is sent when a run has succeeded.'),
    onFailure: on('What is sent when a run has failed or exceeded its timeout.'),
  })
  .meta({
    description:
      'Messages about each run that are sent without a step. What becomes of them shows in status.notifications of the run; none of them changes how the run goes.',
  });
export type Notifications = z.infer<typeof notifications>;
