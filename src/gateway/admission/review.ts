import * as z from 'zod';
import type { Problem } from '../../engine/model.ts';
import { cut } from '../../engine/text.ts';

// AdmissionReview of admission.k8s.io/v1, as far as it is read and answered here.
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/

const metadata = z.looseObject({
  name: z.string().optional(),
  generateName: z.string().optional(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
});

/** An object that somebody wants to write. Its spec may be anything: runs are seen before their schema is checked. */
const object = z.looseObject({ metadata, spec: z.unknown().optional() });
export type ReviewedObject = z.infer<typeof object>;

const user = z.object({
  username: z.string().default(''),
  uid: z.string().optional(),
  groups: z.array(z.string()).default([]),
  extra: z.record(z.string(), z.array(z.string())).optional(),
});
/** Who asks, by the word of the API server. */
export type ReviewedUser = z.infer<typeof user>;

const request = z.object({
  uid: z.string().min(1),
  kind: z.object({ group: z.string(), version: z.string(), kind: z.string() }),
  resource: z.object({ group: z.string(), version: z.string(), resource: z.string() }),
  subResource: z.string().optional(),
  namespace: z.string().min(1),
  operation: z.enum(['CREATE', 'UPDATE']),
  userInfo: user,
  object,
  oldObject: object.nullish(),
});
export type AdmissionRequest = z.infer<typeof request>;

const review = z.object({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request,
});

/** @throws {z.ZodError} for what is no such review */
export const parseReview = (body: unknown): AdmissionRequest => review.parse(body).request;

/** Annotations to set, or to remove where the value is null. */
export type AnnotationChanges = Readonly<Record<string, string | null>>;

/** What is answered to a request. */
export type Verdict =
  | { allowed: true; warnings?: readonly string[]; changes?: AnnotationChanges }
  | {
      allowed: false;
      /** HTTP status. */
      code: number;
      /** As the API server's own: Invalid, Forbidden, ... */
      reason: string;
      message: string;
      /** Each problem with its field, for those who show them one by one. */
      problems?: readonly Problem[];
    };

/** What is wrong with the object. All of it, so that it can be mended at once. */
export function invalid(problems: readonly Problem[]): Verdict {
  return { allowed: false, code: 422, reason: 'Invalid', message: listOf(problems), problems };
}

/** What the user may not do. */
export function forbidden(problems: readonly Problem[]): Verdict {
  return { allowed: false, code: 403, reason: 'Forbidden', message: listOf(problems), problems };
}

const MAX_MESSAGE = 8192;
const MAX_CAUSES = 256;
const MAX_FIELD = 512;

function listOf(problems: readonly Problem[]): string {
  return cut(
    problems.map(({ field, message }) => `${cut(field, MAX_FIELD)}: ${message}`).join('\n'),
    MAX_MESSAGE,
  );
}

/** The AdmissionReview that answers a request. */
export function answerTo(request: AdmissionRequest, verdict: Verdict): object {
  const response = verdict.allowed ? permission(request, verdict) : refusal(request, verdict);
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: request.uid, ...response },
  };
}

function permission(
  { object: { metadata } }: AdmissionRequest,
  { warnings = [], changes = {} }: Extract<Verdict, { allowed: true }>,
): object {
  const isChanged = Object.keys(changes).length > 0;
  const value = withChanges(metadata.annotations ?? {}, changes);
  // `add` replaces the whole map, whether it was there or not.
  const patch = [{ op: 'add', path: '/metadata/annotations', value }];
  return {
    allowed: true,
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(isChanged
      ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }
      : {}),
  };
}

function withChanges(
  annotations: Readonly<Record<string, string>>,
  changes: AnnotationChanges,
): Record<string, string> {
  const merged: Record<string, string | null> = { ...annotations, ...changes };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

function refusal(
  { kind: { group, kind }, object: { metadata } }: AdmissionRequest,
  { code, reason, message, problems = [] }: Extract<Verdict, { allowed: false }>,
): object {
  const causes = problems.slice(0, MAX_CAUSES).map(({ field, message: text }) => ({
    reason: code === 422 ? 'FieldValueInvalid' : 'FieldValueForbidden',
    // Names of annotations come here before the API server has looked at how long they are.
    field: cut(field, MAX_FIELD),
    message: text,
  }));
  const name = metadata.name ?? metadata.generateName ?? '';
  return { allowed: false, status: { code, reason, message, details: { group, kind, name, causes } } };
}
