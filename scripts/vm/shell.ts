/** What is said to a shell: the guest's order, and words that it must take as they are. */

/** The command as a shell script in base64: in the same folder and with the same PATH as here. */
export function script(command: readonly string[]): string {
  const path = `${process.env.PATH}:/usr/sbin:/sbin:/run/vm/bin`;
  const words = command.map(quote).join(' ');
  const text = `export HOME=/root PATH=${quote(path)}\ncd ${quote(process.cwd())} || exit\nexec ${words}\n`;
  return Buffer.from(text).toString('base64');
}

/** A word of a shell's command line, whatever is in it. */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
