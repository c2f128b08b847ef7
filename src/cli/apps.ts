/** The stacks that `--app` knows by name; any other word is a file. */
import { loadStack, type StackModule } from '../stack.js';

const APPS: Readonly<Record<string, () => Promise<StackModule>>> = {
  echo: () => import('../apps/echo.js'),
  macswap: () => import('../apps/macswap.js'),
  rxonly: () => import('../apps/rxonly.js'),
  txonly: () => import('../apps/txonly.js'),
};

/** The module of an app or of a stack's file. Throws one line when it is neither. */
export async function loadApp(name: string): Promise<StackModule> {
  const known = Object.hasOwn(APPS, name) ? APPS[name] : undefined;
  if (known) return known();
  if (!/[./]/.test(name)) {
    throw new Error(`app '${name}': neither one of ${Object.keys(APPS).join(', ')} nor a file such as ./my-stack.js`);
  }
  return loadStack(name);
}
