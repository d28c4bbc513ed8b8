import { type Expr, parseCel, sizeOf } from './cel.ts';

// Parsing is most of what it takes to compile a workflow, and the same expressions come again all the time: from the
// webhook, then from the controller that reports on the workflow, then with each edit of one step among many.

/** How many nodes are kept, of all expressions together: some ten workflows of a hundred steps, and a few megabytes. */
const MAX_NODES = 20_000;

/** An expression, which nobody may change, and how many nodes it has. */
export interface Parsed {
  readonly expr: Expr;
  readonly nodes: number;
}

/** By source; the ones used last are at the end. */
const kept = new Map<string, Parsed>();
let total = 0;

/** Parses an expression, or gives what it came to the last time. The error says what is wrong at which column. */
export function parsedCel(source: string): Parsed | { error: string } {
  const known = kept.get(source);
  if (known) {
    kept.delete(source);
    kept.set(source, known);
    return known;
  }
  const result = parseCel(source);
  if ('error' in result) return result;
  const parsed = { expr: result.expr, nodes: sizeOf(result.expr) };
  keep(source, parsed);
  return parsed;
}

function keep(source: string, parsed: Parsed): void {
  kept.set(source, parsed);
  total += parsed.nodes;
  for (const [oldest, { nodes }] of kept) {
    if (total <= MAX_NODES) return;
    kept.delete(oldest);
    total -= nodes;
  }
}
