/** A histogram of the operator's reviews, so far. */
interface Histogram {
  count: number;
  seconds: number;
  /** How many took at most so long, by that bound in seconds, in rising order. */
  buckets: [bound: number, count: number][];
}

/** What the reviews of one webhook took. The percentiles are the bounds of the buckets that they fall into. */
export interface Reviews {
  count: number;
  meanMs: number;
  p50Ms: number;
  p99Ms: number;
}

const LINE = /^signalbox_admission_review_duration_seconds_(bucket|sum|count)\{(.*)\} (\S+)$/gm;

/** Reads the reviews that were allowed out of the operator's metrics, by webhook. */
export function reviewsOf(metrics: string): Map<string, Histogram> {
  const found = new Map<string, Histogram>();
  for (const [, part, labels = '', text] of metrics.matchAll(LINE)) {
    if (!labels.includes('result="allowed"')) continue;
    const webhook = /webhook="(\w+)"/.exec(labels)?.[1] ?? '';
    const histogram = found.get(webhook) ?? { count: 0, seconds: 0, buckets: [] };
    found.set(webhook, histogram);
    const value = Number(text);
    if (part === 'count') histogram.count = value;
    else if (part === 'sum') histogram.seconds = value;
    else histogram.buckets.push([bound(labels), value]);
  }
  return found;
}

function bound(labels: string): number {
  const text = /le="([^"]+)"/.exec(labels)?.[1];
  return text === '+Inf' ? Infinity : Number(text);
}

/** The reviews of a webhook between two readings. */
export function reviewsBetween(
  before: ReadonlyMap<string, Histogram>,
  after: ReadonlyMap<string, Histogram>,
  webhook: string,
): Reviews {
  const none: Histogram = { count: 0, seconds: 0, buckets: [] };
  const [old, now] = [before.get(webhook) ?? none, after.get(webhook) ?? none];
  const count = now.count - old.count;
  const earlier = new Map(old.buckets);
  const boundMs = (share: number) => {
    const reached = now.buckets.find(([le, sum]) => sum - (earlier.get(le) ?? 0) >= share * count);
    return (reached?.[0] ?? Number.NaN) * 1000;
  };
  return {
    count,
    meanMs: ((now.seconds - old.seconds) * 1000) / count,
    p50Ms: boundMs(0.5),
    p99Ms: boundMs(0.99),
  };
}
