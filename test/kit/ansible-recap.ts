const LINE =
  /^(\S+) +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+) +skipped=(\d+) +rescued=(\d+) +ignored=(\d+)/gm;

/** The recap that Ansible itself prints at the end, sorted by host. */
export function printedRecap(log: string) {
  return Array.from(log.matchAll(LINE), ([, host, ...counts]) => {
    const [ok, changed, unreachable, failed, skipped, rescued, ignored] = counts.map(Number);
    return { host, ok, changed, unreachable, failed, skipped, rescued, ignored };
  });
}
