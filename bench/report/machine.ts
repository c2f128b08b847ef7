/** Describes the machine of a report. */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release } from 'node:os';
import { searchPath } from '../../scripts/programs.js';
import { hasHugepages } from '../common/hugepages.js';

export interface MachineFacts {
  /** The processor's model. */
  readonly cpu: string;
  readonly cores: number;
  /** Load average of the last minute before the first window. */
  readonly load: number;
  readonly node: string;
  readonly kernel: string;
  /** Versions, or `none`. */
  readonly qemu: string;
  readonly dpdk: string;
  readonly ovs: string;
  /** Whether contestants used hugepages. */
  readonly hugepages: boolean;
}

const TIMEOUT_MS = 10_000;

export function machineFacts(): MachineFacts {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    load: Number(loadavg()[0]?.toFixed(2)),
    node: process.version,
    kernel: release(),
    qemu: versionOf('qemu-system-x86_64', ['--version'], /version (\S+)/),
    // With --help, testpmd prints its version and uses no device and no hugepages.
    dpdk: versionOf('dpdk-testpmd', ['-v', '--help'], /RTE Version: 'DPDK ([^']+)'/),
    ovs: versionOf('ovs-vswitchd', ['--version'], /\) ([\d.]+)/),
    hugepages: hasHugepages(),
  };
}

function versionOf(program: string, args: readonly string[], pattern: RegExp): string {
  const env = { ...process.env, PATH: searchPath() };
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: TIMEOUT_MS, env });
  return `${stdout ?? ''}${stderr ?? ''}`.match(pattern)?.[1] ?? 'none';
}
