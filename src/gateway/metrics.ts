import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { FinishedRequest } from '../kube/transport.ts';
import type { ProcessedWork } from '../kube/work-queue.ts';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The operator's own metrics, in Prometheus' text format. */
export interface Metrics {
  onRequest(request: FinishedRequest): void;
  onWork(queue: string, work: ProcessedWork): void;
  /** @param route of those that the runner API has, or `other` */
  onRunnerRequest(request: { route: string; status: number; seconds: number }): void;
  /** @param webhook of those that there are, or `other`; @param result `allowed`, `denied` or `error` */
  onReview(review: { webhook: string; result: string; seconds: number }): void;
  /** @param type of the trigger; @param result `started`, `missed` or `refused` */
  onTrigger(happened: { type: string; result: string; count: number }): void;
  /** Registers a figure that is read when metrics are asked for. */
  gauge(name: string, help: string, read: () => number): void;
  readonly contentType: string;
  text(): Promise<string>;
}

export function createMetrics(): Metrics {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
  const requests = new Histogram({
    name: 'signalbox_api_request_duration_seconds',
    help: 'Requests to the API server, each try by itself; watches by the time that they stood.',
    labelNames: ['verb', 'resource', 'code'],
    buckets: SECONDS,
    registers,
  });
  const reconciles = new Histogram({
    name: 'signalbox_reconcile_duration_seconds',
    help: 'Reconciles by controller and result.',
    labelNames: ['controller', 'result'],
    buckets: SECONDS,
    registers,
  });
  const queued = new Counter({
    name: 'signalbox_queue_wait_seconds_total',
    help: 'Time that keys waited for a worker.',
    labelNames: ['controller'],
    registers,
  });
  const runnerRequests = new Histogram({
    name: 'signalbox_runner_request_duration_seconds',
    help: 'Requests to the runner API by route and status code.',
    labelNames: ['route', 'code'],
    buckets: SECONDS,
    registers,
  });
  const reviews = new Histogram({
    name: 'signalbox_admission_review_duration_seconds',
    help: 'Reviews for the API server by webhook and result.',
    labelNames: ['webhook', 'result'],
    buckets: SECONDS,
    registers,
  });
  const triggers = new Counter({
    name: 'signalbox_triggers_total',
    help: 'Runs that triggers have started, missed, or could not create, by type and result.',
    labelNames: ['type', 'result'],
    registers,
  });
  return {
    onRequest: ({ verb, resource, code, seconds }) => requests.observe({ verb, resource, code }, seconds),
    onWork(controller, { queuedSeconds, workSeconds, failure }) {
      reconciles.observe({ controller, result: failure ? 'error' : 'success' }, workSeconds);
      queued.inc({ controller }, queuedSeconds);
    },
    onRunnerRequest: ({ route, status, seconds }) =>
      runnerRequests.observe({ route, code: String(status) }, seconds),
    onReview: ({ webhook, result, seconds }) => reviews.observe({ webhook, result }, seconds),
    onTrigger: ({ type, result, count }) => triggers.inc({ type, result }, count),
    gauge(name, help, read) {
      const gauge = new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      });
      register.registerMetric(gauge);
    },
    contentType: register.contentType,
    text: () => register.metrics(),
  };
}
