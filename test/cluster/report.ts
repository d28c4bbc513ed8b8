/** Says what is being done, and gives a function that says that it is done. */
export type Report = (doing: string) => () => void;

/** Reports nothing. */
export const silent: Report = () => () => undefined;

/** Reports each step with the time it took, as lines on `stream`. */
export function reportTo(stream: NodeJS.WritableStream): Report {
  return (doing) => {
    const start = performance.now();
    const timer = setInterval(() => stream.write(`  ${doing}: ${seconds(start)} so far\n`), 15_000).unref();
    return () => {
      clearInterval(timer);
      stream.write(`  ${doing}: ${seconds(start)}\n`);
    };
  };
}

function seconds(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
