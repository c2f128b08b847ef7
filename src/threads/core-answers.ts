/** What a core answers while its stack runs: `tspmd stats` and others ask the port. */
import type { Core } from '../link/core.js';
import { tcpOf } from '../link/published.js';
import { type EventLoopStack, liveTotals, type Stack } from '../stack.js';
import type { CoreAnswers, CoreQuestion } from './messages.js';

/** @param core null, as the stack, until there is one */
export async function answerOf(
  question: CoreQuestion,
  core: Core | null,
  stack: Stack | EventLoopStack | null,
): Promise<CoreAnswers[CoreQuestion['what']]> {
  if (question.what === 'totals') return liveTotals(stack);
  const tcp = core === null ? undefined : tcpOf(core);
  if (tcp === undefined) return null;
  return question.what === 'connections' ? tcp.connections(question.query) : tcp.figures();
}
