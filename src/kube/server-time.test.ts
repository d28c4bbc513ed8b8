import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServerTime } from './server-time.ts';

const HOUR_MS = 3_600_000;
const TEN = Date.parse('2030-01-01T10:00:00Z');

/** A machine, and an API server at which it is ten o'clock. */
function machineAt(start: number) {
  const clock = { now: start };
  const corrected: number[] = [];
  const time = createServerTime({
    wallClock: () => clock.now,
    onCorrected: (offset) => corrected.push(offset),
  });
  /** @param at what the clock of the API server shows; @param seconds that the answer took */
  const hear = (at: number, seconds = 0) => time.hear({ date: new Date(at).toUTCString(), seconds });
  return { clock, corrected, time, hear };
}

test('goes by the clock of this machine while that is right, as far as can be known', () => {
  for (const ahead of [-1900, 0, 900, 2900]) {
    const { time, corrected, hear } = machineAt(TEN + ahead);
    hear(TEN + 999);
    assert.deepEqual([time.now(), corrected], [TEN + ahead, []], String(ahead));
  }
});

test('goes by the clock of the API server when that of this machine is wrong, and says so once', () => {
  for (const ahead of [-3 * HOUR_MS, -300_000, 10_000, 3 * HOUR_MS]) {
    const { clock, time, corrected, hear } = machineAt(TEN + ahead);
    hear(TEN + 300);
    clock.now += 60_000;
    hear(TEN + 60_300);
    assert.equal(corrected.length, 1);
    assert.ok(Math.abs(time.now() - (TEN + 60_300)) <= 1000, `${ahead}: ${time.now() - TEN}`);
  }
});

test('goes by the clock of this machine again when that has been put right', () => {
  const { clock, time, corrected, hear } = machineAt(TEN + HOUR_MS);
  hear(TEN);
  clock.now = TEN + 5_000;
  hear(TEN + 5_000);
  assert.equal(corrected.length, 2);
  assert.deepEqual([time.offsetMs, time.now()], [0, TEN + 5_000]);
});

test('a slow answer, or one without a time, says little', () => {
  const { time, corrected, hear } = machineAt(TEN + 20_000);
  hear(TEN, 20);
  time.hear({ seconds: 0 });
  time.hear({ date: 'yesterday', seconds: 0 });
  assert.deepEqual([time.now(), corrected], [TEN + 20_000, []]);
});
