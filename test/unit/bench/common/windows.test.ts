/** How contestants take turns. */
import { expect, it } from 'vitest';
import { PausableProcesses } from '../../../../bench/common/windows.js';

it('stops processes except while they work, and lets them settle before', async () => {
  const events: string[] = [];
  const process = { pid: 1, isRunning: true, signal: (name: string) => void events.push(name), stop: async () => {} };
  const processes = new PausableProcesses([process]);
  const settle = async (milliseconds: number): Promise<void> => void events.push(`settle ${milliseconds}`);
  const work = async (): Promise<number> => events.push('work');
  expect(await processes.during(work, settle)).toBe(3);
  expect(events).toEqual(['SIGCONT', 'settle 100', 'work', 'SIGSTOP']);
  const fault = (): Promise<never> => Promise.reject(new Error('no answer'));
  await expect(processes.during(fault)).rejects.toThrow('no answer');
  expect(events.slice(4)).toEqual(['SIGCONT', 'SIGSTOP']);
  process.isRunning = false;
  await processes.during(work);
  expect(events.slice(6)).toEqual(['work']);
});
