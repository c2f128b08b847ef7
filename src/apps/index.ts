/** The apps that come with tspmd, by name. */
import { existsSync } from 'node:fs';
import { AppError } from '../errors.js';
import { loadStack, type StackModule } from '../stack.js';

const APPS: Readonly<Record<string, () => Promise<StackModule>>> = {
  echo: () => import('./echo.js'),
  macswap: () => import('./macswap.js'),
  rxonly: () => import('./rxonly.js'),
  txonly: () => import('./txonly.js'),
};

/**
 * Loads an app by its name, or a stack from a file.
 * @throws AppError with one line that names it and what is wrong.
 */
export async function loadApp(nameOrFile: string): Promise<StackModule> {
  const app = Object.hasOwn(APPS, nameOrFile) ? APPS[nameOrFile] : undefined;
  if (app !== undefined) return app();
  if (!/[./]/.test(nameOrFile) && !existsSync(nameOrFile)) {
    throw new AppError(`app '${nameOrFile}': neither one of ${Object.keys(APPS).join(', ')} nor a file`);
  }
  return loadStack(nameOrFile);
}
