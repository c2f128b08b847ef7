/** Who can be killed: each with the scene that it is killed in. */
import { MODES } from '../support/modes.js';
import { Campaign, type CampaignOptions, type CampaignResult, type Victim } from './campaign.js';
import { Scene } from './scene.js';

/** The thread layouts of an endpoint, one after the other. */
const LAYOUTS = Object.values(MODES);

/** Kills the embedded switch; three endpoints, one of each thread layout, are behind it. */
async function killSwitch(options: CampaignOptions): Promise<CampaignResult> {
  return hub(await Scene.open({ hub: 'switch', endpoints: 3 }), 'switch', options);
}

/** Kills dpdk-testpmd, which carries the frames between two of our endpoints. */
async function killBackend(options: CampaignOptions): Promise<CampaignResult> {
  return hub(await Scene.open({ hub: 'testpmd', endpoints: 2 }), 'backend', options);
}

async function hub(scene: Scene, name: string, options: CampaignOptions): Promise<CampaignResult> {
  try {
    for (const [i, endpoint] of scene.numbers.entries())
      await scene.startEndpoint(endpoint, { args: LAYOUTS[i] ?? [] });
    const victim: Victim = {
      name,
      processes: ['hub'],
      kill: () => scene.end('hub', 'SIGKILL'),
      restart: () => scene.startHub(),
      isSpared: () => false,
    };
    return await new Campaign(scene, victim, options).run();
  } finally {
    await scene.close();
  }
}

/** Kills one of three endpoints, each time in another thread layout; the other two go on with each other. */
async function killEndpoint(options: CampaignOptions): Promise<CampaignResult> {
  const scene = await Scene.open({ hub: 'switch', endpoints: 3 });
  try {
    for (const [i, endpoint] of scene.numbers.entries())
      await scene.startEndpoint(endpoint, { args: LAYOUTS[i] ?? [] });
    let lives = 0;
    const victim: Victim = {
      name: 'endpoint',
      processes: ['endpoint 3'],
      kill: () => scene.end('endpoint 3', 'SIGKILL'),
      restart: () => scene.startEndpoint(3, { args: LAYOUTS[lives++ % LAYOUTS.length] ?? [] }),
      isSpared: (from, to) => from !== 3 && to !== 3,
    };
    return await new Campaign(scene, victim, options).run();
  } finally {
    await scene.close();
  }
}

export const VICTIMS = { switch: killSwitch, endpoint: killEndpoint, backend: killBackend } as const;
