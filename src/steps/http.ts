import type { HttpStep } from '../api/http-step.ts';
import type { FinallyStep, Step } from '../api/step.ts';
import { ReadyValue } from '../engine/cel.ts';
import type { Interpolation, Result } from '../engine/model.ts';
import { ANY, BOOLEAN, INTEGER, mapOf, STRING } from '../engine/type.ts';
import { follow } from './http-redirect.ts';
import { prepare } from './http-request.ts';
import {
  excerptOf,
  type HttpResponse,
  isExpected,
  readResponse,
  retryAfterOf,
  statusLine,
} from './http-response.ts';
import { resolvedJson } from './json-templates.ts';
import { createMask, type Mask } from './mask.ts';
import { type CallContext, CallError, type CallStepType } from './step-type.ts';

const DEFAULT_MAX_REDIRECTS = 5;
/** Most bytes that the outputs may come to as JSON, as of a script step. */
const MAX_OUTPUTS = 4096;
/** Failures of the network rather than of the step. */
const OF_NETWORK = new Set(['NameNotResolved', 'ConnectFailed', 'ConnectTimeout', 'ConnectionLost']);
/** What expressions see of a response: see `http-response.ts`. */
const RESPONSE = mapOf({ status: INTEGER, headers: mapOf(), body: STRING, json: ANY });
/** Methods that do the same when they come twice. */
const REPEATABLE = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);

type Outcome = Omit<Result, 'finishedAt'>;

/** Calls somebody over HTTP, and takes outputs from the response. */
export const http: CallStepType = {
  kind: 'Call',

  resolve(spec, interpolation) {
    return { ...spec, http: resolved(httpOf(spec), interpolation) };
  },

  expressions(spec) {
    const { expect, outputs = {} } = httpOf(spec);
    const variables = { response: RESPONSE };
    return [
      ...(expect === undefined ? [] : [{ field: 'http.expect', source: expect, variables, needed: BOOLEAN }]),
      ...Object.entries(outputs).map(([name, source]) => ({ field: outputField(name), source, variables })),
    ];
  },

  outputs(spec) {
    const names = Object.keys(httpOf(spec).outputs ?? {});
    return mapOf(Object.fromEntries(names.map((name) => [name, ANY])));
  },

  async call(spec, context) {
    let mask: Mask = (text) => text;
    const finished = ({ message, ...outcome }: Outcome): Result => ({
      ...outcome,
      ...(message === undefined ? {} : { message: mask(message) }),
      finishedAt: context.now(),
    });
    try {
      const step = httpOf(spec);
      const request = await prepare(step, context);
      mask = createMask(request.secrets);
      const incoming = await follow(request, step.maxRedirects ?? DEFAULT_MAX_REDIRECTS, context.egress);
      return finished(judge(step, readResponse(incoming, mask), context));
    } catch (error) {
      return finished(failureOf(error));
    }
  },

  onInterrupt(spec) {
    const { onInterrupt, method = 'GET' } = httpOf(spec);
    return onInterrupt ?? (REPEATABLE.has(method) ? 'Retry' : 'Fail');
  },
};

function httpOf(spec: Step | FinallyStep): HttpStep {
  if (spec.http) return spec.http;
  throw new TypeError(`step ${spec.name} is no http step`);
}

const outputField = (name: string) => `http.outputs.${name}`;

function resolved(step: HttpStep, { text, scalar }: Interpolation): HttpStep {
  const { url, headers, body, json, form } = step;
  const texts = (member: string, values: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, text(`http.${member}.${name}`, value)]),
    );
  return {
    ...step,
    url: text('http.url', url),
    ...(headers ? { headers: texts('headers', headers) } : {}),
    ...(body === undefined ? {} : { body: text('http.body', body) }),
    ...(json === undefined ? {} : { json: resolvedJson('http.json', json, scalar) }),
    ...(form ? { form: texts('form', form) } : {}),
  };
}

/**
 * What the response means for the step.
 * @throws {CallError} ExpressionError, OutputTooLarge
 */
function judge(step: HttpStep, response: HttpResponse, context: CallContext): Outcome {
  const { expect, outputs } = step;
  const summary = statusLine(response.status);
  if (!isExpected(response.status, step.expectedStatus)) return unexpected(step, response, context.now());
  if (expect === undefined && !outputs) return { outcome: 'Succeeded', reason: 'Completed', summary };
  const ready = new ReadyValue(response);
  if (expect !== undefined) {
    const met = valueOf('http.expect', ready, context);
    if (typeof met !== 'boolean') throw expressionError('http.expect', 'it must be true or false');
    if (!met) {
      const message = `http.expect is not true of the response, which is ${quoted(response)}`;
      return { ...failed('ExpectationFailed', message), summary };
    }
  }
  const given = outputs ? { outputs: outputsOf(outputs, ready, context) } : {};
  return { outcome: 'Succeeded', reason: 'Completed', summary, ...given };
}

function unexpected({ expectedStatus = ['2xx'] }: HttpStep, response: HttpResponse, now: number): Outcome {
  const retryAfterMs = retryAfterOf(response, now);
  const expected = expectedStatus.join(', ');
  return {
    ...failed('UnexpectedStatus', `http.expectedStatus is ${expected}, and the response ${quoted(response)}`),
    summary: statusLine(response.status),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function quoted({ status, body }: HttpResponse): string {
  const excerpt = excerptOf(body);
  return `${statusLine(status)}${excerpt === '' ? ', without a body' : `: ${excerpt}`}`;
}

/** @throws {CallError} ExpressionError, OutputTooLarge */
function outputsOf(
  outputs: NonNullable<HttpStep['outputs']>,
  response: ReadyValue,
  context: CallContext,
): Record<string, unknown> {
  const values = Object.keys(outputs).map((name) => [name, valueOf(outputField(name), response, context)]);
  const all: Record<string, unknown> = Object.fromEntries(values);
  const size = Buffer.byteLength(JSON.stringify(all));
  if (size <= MAX_OUTPUTS) return all;
  throw new CallError(
    'OutputTooLarge',
    `The outputs come to ${size} bytes, more than ${MAX_OUTPUTS}: take less of the response in http.outputs.`,
  );
}

/** @throws {CallError} ExpressionError */
function valueOf(field: string, response: ReadyValue, context: CallContext): unknown {
  const result = context.evaluate(field, { response });
  if ('error' in result) throw expressionError(field, result.error);
  return result.value;
}

const failed = (reason: string, message: string): Outcome => ({ outcome: 'Failed', reason, message });

const expressionError = (field: string, error: string) =>
  new CallError('ExpressionError', `${field}: ${error}.`);

function failureOf(error: unknown): Outcome {
  if (!(error instanceof CallError))
    return failed('InternalError', error instanceof Error ? error.message : String(error));
  const { reason, message } = error;
  return { ...failed(reason, message), ...(OF_NETWORK.has(reason) ? { infrastructure: true } : {}) };
}
