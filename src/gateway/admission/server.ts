import type { IncomingMessage, ServerResponse } from 'node:http';
import { ZodError } from 'zod';
import type { Transport } from '../../kube/transport.ts';
import { announcedLength, createRoom, readBody, type Room } from '../body.ts';
import { type HttpsServer, type HttpsServerOptions, startHttpsServer } from '../https-server.ts';
import { Refusal, refusalOf } from '../refusal.ts';
import type { Serving } from '../serving.ts';
import { askFor, type MayDo } from './access.ts';
import { type Neighbours, reviewProject, reviewWorkflow } from './definitions.ts';
import type { Plural } from './changes.ts';
import { reviewManualRun } from './manual-runs.ts';
import { type AdmissionRequest, answerTo, parseReview, type Verdict } from './review.ts';
import { type Ballot, reviewRun } from './runs.ts';

/** A review that was answered, for metrics and the log. */
export interface AnsweredReview {
  /** `workflows`, `manualruns`, `workflowruns`, `projects`, or `other` for what is no review. */
  webhook: string;
  seconds: number;
  /** Absent for what is no review. */
  request?: AdmissionRequest;
  verdict?: Verdict;
  /** Why there is no verdict. */
  failure?: Refusal;
}

export interface AdmissionServerOptions {
  /** 0: any free one. */
  port: number;
  serving: Pick<Serving, 'current' | 'subscribe'>;
  /** Of whom the API server has a certificate to show. Default: whoever reaches the port may ask. */
  clients?: HttpsServerOptions['clients'];
  /** To ask about rights. Not held back by a lease: every replica serves. */
  transport: Transport;
  neighbours: Neighbours;
  ballot: Ballot;
  onAnswered: (review: AnsweredReview) => void;
}

/** One webhook: what it is about, and how it judges. */
interface Webhook {
  plural: Plural;
  review: (request: AdmissionRequest, mayDo: MayDo) => Promise<Verdict>;
}

/** Two versions of an object of the largest size that the API server takes, which is 3 MiB, and what is around them. */
const MAX_BODY = 7 * 2 ** 20;
const ROOM_BYTES = 64 * 2 ** 20;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * The HTTPS server that the API server asks before it writes a Workflow, a Project or a WorkflowRun. See
 * docs/admission.md.
 */
export function startAdmissionServer(options: AdmissionServerOptions): Promise<HttpsServer> {
  const { port, serving, clients, transport, neighbours, ballot } = options;
  const webhooks: Record<string, Webhook> = {
    workflows: {
      plural: 'workflows',
      review: (request, mayDo) => reviewWorkflow(request, mayDo, neighbours),
    },
    manualruns: { plural: 'workflows', review: (request) => reviewManualRun(request, ballot) },
    projects: {
      plural: 'projects',
      review: (request, mayDo) => reviewProject(request, mayDo, neighbours),
    },
    workflowruns: {
      plural: 'workflowruns',
      review: (request, mayDo) => reviewRun(request, mayDo, ballot, neighbours),
    },
  };
  const room = createRoom(ROOM_BYTES);
  const judge = async (incoming: IncomingMessage, seen: Seen): Promise<object> => {
    const [, name = ''] = /^\/admission\/([a-z]+)(?:\?.*)?$/.exec(incoming.url ?? '') ?? [];
    const webhook = Object.hasOwn(webhooks, name) ? webhooks[name] : undefined;
    if (!webhook || incoming.method !== 'POST')
      throw new Refusal(404, 'NotFound', 'there is no such webhook');
    const request = await readReview(incoming, room);
    if (request.resource.resource !== webhook.plural) {
      throw new Refusal(400, 'WrongWebhook', `this one is about ${webhook.plural}`);
    }
    seen.webhook = name;
    seen.request = request;
    const { userInfo, namespace } = request;
    seen.verdict = await verdictOf(
      () => webhook.review(request, askFor(transport, userInfo, namespace)),
      seen,
    );
    return answerTo(request, seen.verdict);
  };
  const https = { port, serving, clients, requestTimeoutMs: REQUEST_TIMEOUT_MS };
  return startHttpsServer(https, (incoming, response) => {
    void serve(incoming, response, judge, options.onAnswered);
  });
}

type Seen = Omit<AnsweredReview, 'seconds'>;

async function readReview(incoming: IncomingMessage, room: Room): Promise<AdmissionRequest> {
  const length = announcedLength(incoming, MAX_BODY, 'ReviewTooLarge');
  return room.with(length, async () => {
    const body = await readBody(incoming, MAX_BODY, 'ReviewTooLarge');
    try {
      return parseReview(JSON.parse(body.toString()));
    } catch (error) {
      if (!(error instanceof ZodError || error instanceof SyntaxError)) throw error;
      throw new Refusal(400, 'NoReview', 'the body is no AdmissionReview of admission.k8s.io/v1', {
        cause: error,
      });
    }
  });
}

/** Who can not be judged is refused, with a sentence instead of an error of HTTP. */
async function verdictOf(review: () => Promise<Verdict>, seen: Seen): Promise<Verdict> {
  try {
    return await review();
  } catch (error) {
    const { status: code, reason, message } = (seen.failure = refusalOf(error));
    return { allowed: false, code, reason, message: `Signalbox could not judge it: ${message}` };
  }
}

async function serve(
  incoming: IncomingMessage,
  response: ServerResponse,
  judge: (incoming: IncomingMessage, seen: Seen) => Promise<object>,
  onAnswered: AdmissionServerOptions['onAnswered'],
): Promise<void> {
  const start = performance.now();
  const seen: Seen = { webhook: 'other' };
  const [status, answer] = await judge(incoming, seen).then(
    (review) => [200, review] as const,
    (error: unknown) => {
      const { status: code, reason, message } = (seen.failure = refusalOf(error));
      return [code, { reason, message }] as const;
    },
  );
  const bytes = Buffer.from(JSON.stringify(answer));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
  // A client that is still sending learns the answer only when its body is taken off its hands.
  incoming.resume();
  onAnswered({ ...seen, seconds: (performance.now() - start) / 1000 });
}
