/** A vhost-user frontend and its scripted backend on a socket of their own; nothing of them remains after a test. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { closeInPlace } from '../../../drivers/libc/index.js';
import { PacketMemory } from '../../../drivers/memory/index.js';
import { VhostUserFrontend } from '../../../drivers/transports/vhost-user/frontend.js';
import { allocateSplitQueue } from '../../../drivers/virtio/driver/split-queue.js';
import { VIRTIO_F_VERSION_1 } from '../../../drivers/virtio/features.js';
import type { QueueLayout, TransportEvents } from '../../../drivers/virtio/transport.js';
import { openFds, temporaryDirectory, untilFds } from '../resources.js';
import { ScriptedBackend } from './scripted-backend.js';

export interface Fixture {
  directory: { path: string; remove: () => void };
  backend: ScriptedBackend;
  frontend: VhostUserFrontend;
  memory: PacketMemory;
  layouts: QueueLayout[];
  /** What the frontend told the device. */
  told: string[];
  events: TransportEvents;
  offer(features: bigint, protocolFeatures?: bigint): void;
  /** What the device does with its transport until it is live. */
  start(): Promise<void>;
}

/** Makes a new frontend before each test of the file, and demands after the test that no descriptor stayed open. */
export function useFrontend(): Fixture {
  const t = {} as Fixture;
  let before = 0;

  t.events = {
    onInterrupt: (queue) => t.told.push(`interrupt ${queue}`),
    onConfigChange: () => t.told.push('config'),
    onLost: (reason) => t.told.push(reason),
  };
  t.offer = (features, protocolFeatures = 0n) => {
    t.backend.features = features;
    t.backend.protocolFeatures = protocolFeatures;
  };
  t.start = async () => {
    await t.frontend.connect(t.memory, t.events);
    await t.frontend.reset();
    await t.frontend.setStatus(1);
    await t.frontend.setStatus(3);
    await t.frontend.setDriverFeatures((await t.frontend.getDeviceFeatures()) & VIRTIO_F_VERSION_1);
    await t.frontend.setStatus(11);
    expect(await t.frontend.getStatus()).toBe(11);
    for (const [queue, layout] of t.layouts.entries()) await t.frontend.setupQueue(queue, layout);
    await t.frontend.setStatus(15);
  };

  beforeEach(() => {
    before = openFds();
    t.told = [];
    t.directory = temporaryDirectory();
    t.backend = new ScriptedBackend(`${t.directory.path}/s`);
    t.frontend = new VhostUserFrontend(t.backend.path, { closer: closeInPlace });
    t.memory = PacketMemory.create(1, 'never');
    t.layouts = [allocateSplitQueue(t.memory, 8), allocateSplitQueue(t.memory, 16)];
  });

  afterEach(async () => {
    vi.useRealTimers();
    await t.frontend.close();
    t.backend.close();
    t.memory.dispose();
    t.directory.remove();
    await untilFds(before);
  });

  return t;
}
