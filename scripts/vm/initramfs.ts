/**
 * Packs the guest's first file system: modules, busybox and /init. It is packed again when /init or busybox has
 * changed.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACK_TIMEOUT_MS = 60_000;
/** The path depends on whether this file runs as source (in a test) or compiled. */
const INIT = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'init' : '../../../scripts/vm/init', import.meta.url),
);
/** The programs that /init calls before it enters the new root. */
const APPLETS = 'sh base64 chroot cp date insmod ip ln mkdir mount mv rm uname'.split(' ');

/** Makes the initramfs of a built guest, unless it exists. Returns its path. */
export function initramfs(guest: string): string {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (busybox === undefined) throw new Error("busybox is not installed; run 'npm run setup:peers' as root");
  const hash = createHash('sha256').update(APPLETS.join()).update(readFileSync(INIT)).update(readFileSync(busybox));
  const name = `initramfs-${hash.digest('hex').slice(0, 8)}.cpio`;
  const path = join(guest, name);
  if (existsSync(path)) return path;
  // Packed in a temporary folder and renamed, because another run may do the same at the same time.
  const work = mkdtempSync(join(guest, 'pack-'));
  try {
    const root = join(work, 'root');
    cpSync(join(guest, 'root'), root, { recursive: true });
    for (const folder of ['bin', 'proc', 'sys', 'dev', 'run', 'host', 'over', 'merged']) mkdirSync(join(root, folder));
    copyFileSync(busybox, join(root, 'bin', 'busybox'));
    for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
    copyFileSync(INIT, join(root, 'init'));
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
    execFileSync('cpio', ['--quiet', '-o', '-H', 'newc', '-R', '0:0', '-O', join(work, name)], {
      cwd: root,
      input: `${files.join('\n')}\n`,
      timeout: PACK_TIMEOUT_MS,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    renameSync(join(work, name), path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}
