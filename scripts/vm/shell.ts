/** Shell text: the command of the guest as a script, and quoted words. */
import { searchPath } from '../programs.js';

/** Returns the command as a shell script in base64. It runs in the current folder, with the current PATH. */
export function script(command: readonly string[]): string {
  const path = `${searchPath()}:/run/vm/bin`;
  const words = command.map(quote).join(' ');
  const text = `export HOME=/root PATH=${quote(path)}\ncd ${quote(process.cwd())} || exit\nexec ${words}\n`;
  return Buffer.from(text).toString('base64');
}

/** Quotes any text as one word for a shell. */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
