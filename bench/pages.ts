import type { Report, Reports } from './report.js';
export function writePages(_folder: string, _done: Report | Reports): string[] {
  return [];
}
