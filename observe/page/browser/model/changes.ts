/** What has changed so that a person should hear of it. Figures change all the time, and are not among it. */
import type { Look } from './look.js';

/** Returns a sentence for each change of state between two looks. */
export function changesBetween(before: Look, now: Look): string[] {
  const ports = new Map(before.ports.map((port) => [port.name, port]));
  const threads = new Map(before.threads.map((thread) => [thread.title, thread]));
  const reasons = new Map(before.drops.map((drop) => [drop.key, drop.count]));
  return [
    ...now.ports.flatMap(({ name, isUp }) => {
      const last = ports.get(name);
      return last === undefined || last.isUp === isUp ? [] : [`port ${name} is ${isUp ? 'up' : 'down'}`];
    }),
    ...now.threads.flatMap(({ title, state }) =>
      state === 'ended' && (threads.get(title)?.state ?? 'ended') !== 'ended' ? [`${title} has ended`] : [],
    ),
    ...now.drops.flatMap(({ key, where, reason, count }) =>
      count > 0 && (reasons.get(key) ?? 0) === 0 ? [`first drop, ${where}: ${reason}`] : [],
    ),
  ];
}
