/** The public interface: what it exports, and that its types are right and need no others. */
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type {
  Core,
  EventLoopStack,
  MulticorePort,
  Port,
  PortCounters,
  SinglePort,
  StopSignal,
  TspmdConfig,
} from '../../../src/index.js';
import * as tspmd from '../../../src/index.js';

const device = 'vhost-user:/tmp/x.sock';
const ip = '10.0.0.1/24';
/** Never called. */
const types = {
  absent: () => tspmd.init({ device, ip }),
  single: () => tspmd.init({ device, ip, mode: 'single' }),
  one: () => tspmd.init({ device, ip, mode: '1kb', app: 'echo' }),
  two: () => tspmd.init({ device, ip, mode: '2kb', app: new URL('file:///x.js') }),
  any: (config: TspmdConfig) => tspmd.init(config),
};

describe('the types', () => {
  it('of a port follow its mode', () => {
    expectTypeOf(types.absent).returns.resolves.toEqualTypeOf<SinglePort>();
    expectTypeOf(types.single).returns.resolves.toEqualTypeOf<SinglePort>();
    expectTypeOf(types.one).returns.resolves.toEqualTypeOf<MulticorePort>();
    expectTypeOf(types.two).returns.resolves.toEqualTypeOf<MulticorePort>();
    expectTypeOf(types.any).returns.resolves.toEqualTypeOf<Port>();
    expectTypeOf<MulticorePort>().not.toHaveProperty('core');
    expectTypeOf<SinglePort['core']>().returns.toEqualTypeOf<Core>();
    const narrow = (port: Port): Core | null => (port.mode === 'single' ? port.core() : null);
    expectTypeOf(narrow).returns.toEqualTypeOf<Core | null>();
  });

  it('of a core show nothing of its inside', () => {
    for (const name of ['tick', 'nextDeadline', 'countTime', 'held', 'close', 'hashOf', 'polls'] as const) {
      expectTypeOf<typeof name & keyof Core>().toEqualTypeOf<never>();
    }
    expectTypeOf<Core['getRxCount']>().returns.toEqualTypeOf<number>();
    expectTypeOf<Core['waitForPackets']>().parameter(0).toEqualTypeOf<tspmd.WaitForPacketsOptions | undefined>();
  });

  it('of counters are their names', () => {
    expectTypeOf<PortCounters['rx_drop_vlan']>().toEqualTypeOf<number>();
    expectTypeOf<PortCounters['held_by_stack']>().toEqualTypeOf<number>();
    expectTypeOf<PortCounters['reconnects']>().toEqualTypeOf<number | undefined>();
    expectTypeOf<PortCounters>().not.toHaveProperty('rx_drop_nonsense');
  });

  it('of a signal accept an AbortSignal, also where a stack names the type', () => {
    expectTypeOf<AbortSignal>().toExtend<StopSignal>();
    class Mine implements EventLoopStack {
      async run(signal: AbortSignal): Promise<void> {
        signal.throwIfAborted();
      }
    }
    expectTypeOf<Mine>().toExtend<EventLoopStack>();
  });
});

describe('the exports', () => {
  it('are these values', () => {
    expect(Object.keys(tspmd).sort()).toEqual([
      ...['AbortedError', 'AppError', 'ArgumentError', 'Checksum', 'ConfigError', 'CoreError', 'DeviceError'],
      ...['LeaseError', 'OFFLOAD_CHAIN', 'OFFLOAD_CSUM', 'OFFLOAD_ECN', 'OFFLOAD_TSO4', 'OFFLOAD_TSO6'],
      ...['OwnershipError', 'StateError', 'TspmdError', 'WorkerError'],
      ...['createStack', 'formatIpv4', 'formatMac', 'init', 'loadStack', 'parseIpv4', 'parseMac', 'runStack'],
    ]);
  });

  it('need neither the types of Node nor those of a browser', { timeout: 60_000 }, () => {
    const name = '/program.ts';
    const text = `
      import { init, runStack, type Port, type EventLoopStack } from './index.js';
      const stack: EventLoopStack = { run: async (signal) => void signal.aborted };
      export async function main(): Promise<number> {
        await using port = await init({ device: 'd', ip: 'i', app: { href: 'file:///x.js' } });
        port.on('link', (state, reason) => [state, reason]).once('coreFailure', (core, error) => [core, error.code]);
        await runStack(port.core(), stack, { signal: { aborted: true, addEventListener() {}, removeEventListener() {} } });
        return port.counters().rx_frames + (port.status().cores[0]?.counters.tx_packets ?? 0);
      }
      export const coreOf = (port: Port) => port.mode === 'single' ? port.core() : null;
    `;
    const options: ts.CompilerOptions = {
      ...{ strict: true, noEmit: true, skipLibCheck: false, types: [], exactOptionalPropertyTypes: true },
      ...{ target: ts.ScriptTarget.ES2022, lib: ['lib.es2022.d.ts', 'lib.es2024.sharedmemory.d.ts'] },
      ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
    };
    const host = ts.createCompilerHost(options);
    const file = fileURLToPath(new URL(`../../../dist/src${name}`, import.meta.url));
    const { getSourceFile, fileExists } = host;
    host.fileExists = (path) => path === file || fileExists(path);
    host.getSourceFile = (path, version, ...rest) =>
      path === file ? ts.createSourceFile(path, text, version) : getSourceFile(path, version, ...rest);
    const program = ts.createProgram([file], options, host);
    const lines = ts.getPreEmitDiagnostics(program).map(({ messageText, file: at }) => {
      return `${at?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
    expect(lines).toEqual([]);
    expect(program.getSourceFiles().filter(({ fileName }) => fileName.includes('@types'))).toEqual([]);
  });
});
